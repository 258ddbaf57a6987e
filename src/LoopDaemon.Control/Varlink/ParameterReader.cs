using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using LoopDaemon.Linux;

namespace LoopDaemon.Control.Varlink;

/// <summary>Reads the parameters of a call one by one. Whatever is missing, of a wrong type or left over is the Varlink
/// error InvalidParameter with its name. A null stands for a parameter that is not there.</summary>
internal sealed class ParameterReader
{
    private readonly Dictionary<string, JsonElement> _left = [];
    private readonly string _path;
    private readonly IReadOnlyList<FileDescriptor> _descriptors;

    /// <param name="parameters">An object, or nothing.</param>
    /// <param name="descriptors">What came with the message.</param>
    /// <param name="path">What stands before the names of these parameters: <c>transfers[0].</c></param>
    internal ParameterReader(JsonElement parameters, IReadOnlyList<FileDescriptor> descriptors, string path = "")
    {
        _path = path;
        _descriptors = descriptors;
        if (parameters.ValueKind != JsonValueKind.Object)
            return;
        foreach (JsonProperty parameter in parameters.EnumerateObject())
            _left[parameter.Name] = parameter.Value;
    }

    /// <summary>A string's text; false for any other value, and for one with half a surrogate pair in it.</summary>
    internal static bool TryGetText(JsonElement value, [NotNullWhen(true)] out string? text)
    {
        text = null;
        if (value.ValueKind != JsonValueKind.String)
            return false;
        try
        {
            text = value.GetString();
        }
        catch (InvalidOperationException)
        {
            // "\ud800": JSON's grammar allows it, but it is no text.
        }
        return text is not null;
    }

    internal string Text(string name) => OptionalText(name) ?? throw Invalid(name);

    internal string? OptionalText(string name)
    {
        if (!TryTake(name, out JsonElement value))
            return null;
        return TryGetText(value, out string? text) ? text : throw Invalid(name);
    }

    /// <summary>A number from 0 to the greatest 32-bit one.</summary>
    internal int Number(string name) => OptionalNumber(name) ?? throw Invalid(name);

    /// <summary>A user's or group's number: 32 bits without sign, but for the last, which means "no change" to chown(2).</summary>
    internal uint? OptionalId(string name)
    {
        if (!TryTake(name, out JsonElement value))
            return null;
        return value.ValueKind == JsonValueKind.Number && value.TryGetUInt32(out uint id) && id != uint.MaxValue ? id : throw Invalid(name);
    }

    /// <inheritdoc cref="Number"/>
    internal int? OptionalNumber(string name)
    {
        if (!TryTake(name, out JsonElement value))
            return null;
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) && number >= 0
            ? number : throw Invalid(name);
    }

    /// <summary>A count of bytes, not negative; 0 where there is none.</summary>
    internal long Bytes(string name) => OptionalBytes(name) ?? 0;

    /// <inheritdoc cref="Bytes"/>
    /// <exception cref="ControlException">EOVERFLOW: 2^63 or more, as the ioctls have it.</exception>
    internal long? OptionalBytes(string name)
    {
        if (!TryTake(name, out JsonElement value))
            return null;
        if (value.ValueKind != JsonValueKind.Number)
            throw Invalid(name);
        if (value.TryGetInt64(out long bytes))
            return bytes >= 0 ? bytes : throw Invalid(name);
        return value.TryGetUInt64(out _)
            ? throw new ControlException(ControlError.InvalidArgument, Errno.EOVERFLOW, $"{_path}{name} must be less than 2^63 bytes")
            : throw Invalid(name);
    }

    internal bool RequiredFlag(string name) => OptionalFlag(name) ?? throw Invalid(name);

    internal bool Flag(string name) => OptionalFlag(name) ?? false;

    internal bool? OptionalFlag(string name)
    {
        if (!TryTake(name, out JsonElement value))
            return null;
        return value.ValueKind switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            _ => throw Invalid(name),
        };
    }

    /// <summary>The place of a word among those allowed; 0 where there is none.</summary>
    internal int Choice(string name, params ReadOnlySpan<string> words) => OptionalChoice(name, words) ?? 0;

    /// <summary>The place of a word among those allowed; null where there is none.</summary>
    internal int? OptionalChoice(string name, params ReadOnlySpan<string> words)
    {
        if (!TryTake(name, out JsonElement value))
            return null;
        int place = TryGetText(value, out string? word) ? words.IndexOf(word) : -1;
        return place >= 0 ? place : throw Invalid(name);
    }

    internal Dictionary<string, string> Map(string name)
    {
        var map = new Dictionary<string, string>();
        if (!TryTake(name, out JsonElement value))
            return map;
        if (value.ValueKind != JsonValueKind.Object)
            throw Invalid(name);
        foreach (JsonProperty entry in value.EnumerateObject())
        {
            map[entry.Name] = TryGetText(entry.Value, out string? text) ? text : throw Invalid($"{name}.{entry.Name}");
        }
        return map;
    }

    internal List<T> List<T>(string name, Func<ParameterReader, T> read)
    {
        var list = new List<T>();
        if (!TryTake(name, out JsonElement value))
            return list;
        if (value.ValueKind != JsonValueKind.Array)
            throw Invalid(name);
        foreach (JsonElement element in value.EnumerateArray())
        {
            string place = $"{name}[{list.Count}]";
            if (element.ValueKind != JsonValueKind.Object)
                throw Invalid(place);
            var reader = new ParameterReader(element, _descriptors, $"{_path}{place}.");
            list.Add(read(reader));
            reader.Finish();
        }
        return list;
    }

    /// <summary>The descriptor whose index among the message's is given.</summary>
    internal FileDescriptor Descriptor(string name) => OptionalDescriptor(name) ?? throw Invalid(name);

    /// <inheritdoc cref="Descriptor"/>
    internal FileDescriptor? OptionalDescriptor(string name) => OptionalNumber(name) switch
    {
        null => null,
        { } index when index < _descriptors.Count => _descriptors[index],
        _ => throw Invalid(name),
    };

    /// <summary>Refuses parameters that nobody asked for: a misspelt option must not be dropped in silence.</summary>
    internal void Finish()
    {
        foreach (string name in _left.Keys)
            throw Invalid(name);
    }

    private bool TryTake(string name, out JsonElement value) =>
        _left.Remove(name, out value) && value.ValueKind != JsonValueKind.Null;

    private VarlinkErrorException Invalid(string name) => VarlinkErrorException.InvalidParameter(_path + name);
}
