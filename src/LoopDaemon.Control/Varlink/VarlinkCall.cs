using System.Text.Json;
using System.Text.Unicode;

namespace LoopDaemon.Control.Varlink;

/// <summary>A method call, as it came.</summary>
/// <param name="Interface">The interface's name; empty where the method had none before it.</param>
/// <param name="Method">The method's full name.</param>
/// <param name="Parameters">The parameters, an object; undefined where there are none.</param>
/// <param name="OneWay">The caller does not want a reply.</param>
/// <param name="More">The caller takes several replies.</param>
/// <param name="Upgrade">The caller wants to speak another protocol after the reply.</param>
internal sealed record VarlinkCall(string Interface, string Method, JsonElement Parameters, bool OneWay, bool More, bool Upgrade)
{
    // A member that is there twice means one thing to one reader and another to the next.
    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };

    /// <summary>Parses a message's JSON.</summary>
    /// <exception cref="VarlinkProtocolException">It is no JSON, or no call.</exception>
    internal static JsonDocument ParseJson(ReadOnlyMemory<byte> json)
    {
        // JsonDocument looks at the encoding of a string only when it is read.
        if (!Utf8.IsValid(json.Span))
            throw new VarlinkProtocolException("a message is no UTF-8");
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(json, Strict);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // The second one is for half a surrogate pair in a member's name.
            throw new VarlinkProtocolException("a message is no JSON", e);
        }
        if (document.RootElement.ValueKind == JsonValueKind.Object)
            return document;
        document.Dispose();
        throw new VarlinkProtocolException("a message is no JSON object");
    }

    /// <summary>Reads a call.</summary>
    /// <exception cref="VarlinkProtocolException">It is no call.</exception>
    internal static VarlinkCall Read(JsonElement message)
    {
        if (!message.TryGetProperty("method", out JsonElement method) || !ParameterReader.TryGetText(method, out string? name))
            throw new VarlinkProtocolException("a message names no method");
        JsonElement parameters = message.TryGetProperty("parameters", out JsonElement given) ? given : default;
        if (parameters.ValueKind is not (JsonValueKind.Object or JsonValueKind.Undefined or JsonValueKind.Null))
            throw new VarlinkProtocolException("the parameters of a call are no object");
        return new VarlinkCall(
            name[..Math.Max(0, name.LastIndexOf('.'))], name, parameters,
            Flag(message, "oneway"), Flag(message, "more"), Flag(message, "upgrade"));
    }

    private static bool Flag(JsonElement message, string name) =>
        message.TryGetProperty(name, out JsonElement value) && value.ValueKind switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False or JsonValueKind.Null => false,
            _ => throw new VarlinkProtocolException($"the call's \"{name}\" is neither true nor false"),
        };
}
