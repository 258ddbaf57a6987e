using System.Buffers;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace LoopDaemon.Control.Varlink;

/// <summary>Makes messages, the NUL at their end included.</summary>
internal static class VarlinkWriter
{
    /// <param name="method">The method's full name.</param>
    /// <param name="parameters">Its parameters.</param>
    /// <param name="type">Their type.</param>
    /// <param name="more">Whether several replies are wanted.</param>
    internal static ReadOnlyMemory<byte> Call<T>(string method, T parameters, JsonTypeInfo<T> type, bool more = false) =>
        Write("method", method, writer => JsonSerializer.Serialize(writer, parameters, type), more ? "more" : null);

    /// <param name="parameters">The reply's parameters.</param>
    /// <param name="type">Their type.</param>
    /// <param name="continues">Whether another reply follows.</param>
    internal static ReadOnlyMemory<byte> Reply<T>(T parameters, JsonTypeInfo<T> type, bool continues = false) =>
        Write(null, null, writer => JsonSerializer.Serialize(writer, parameters, type), continues ? "continues" : null);

    internal static ReadOnlyMemory<byte> Error<T>(string error, T parameters, JsonTypeInfo<T> type) =>
        Write("error", error, writer => JsonSerializer.Serialize(writer, parameters, type));

    /// <summary>An error of org.varlink.service.</summary>
    internal static ReadOnlyMemory<byte> Error(VarlinkErrorException error) =>
        Write("error", $"{VarlinkInterfaces.Service}.{error.Error}", writer =>
        {
            writer.WriteStartObject();
            if (error.Parameter is not null)
                writer.WriteString(error.Parameter, error.Value);
            writer.WriteEndObject();
        });

    private static ReadOnlyMemory<byte> Write(string? kind, string? name, Action<Utf8JsonWriter> writeParameters, string? flag = null)
    {
        var bytes = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(bytes))
        {
            writer.WriteStartObject();
            if (kind is not null)
                writer.WriteString(kind, name);
            writer.WritePropertyName("parameters");
            writeParameters(writer);
            if (flag is not null)
                writer.WriteBoolean(flag, true);
            writer.WriteEndObject();
        }
        bytes.Write([(byte)0]);
        return bytes.WrittenMemory;
    }
}
