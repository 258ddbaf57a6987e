using System.Text.Json.Serialization;

namespace LoopDaemon.Control;

/// <summary>What happened, in a <see cref="DeviceEvent"/>.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<EventKind>))]
public enum EventKind
{
    /// <summary>The stream has begun: whatever happens from now on is told.</summary>
    [JsonStringEnumMemberName("ready")] Ready,
    /// <summary>A device was added on demand.</summary>
    [JsonStringEnumMemberName("added")] Added,
    /// <summary>A device was removed.</summary>
    [JsonStringEnumMemberName("removed")] Removed,
    /// <summary>A device was bound.</summary>
    [JsonStringEnumMemberName("bound")] Bound,
    /// <summary>A device was cleared.</summary>
    [JsonStringEnumMemberName("cleared")] Cleared,
    /// <summary>A device has another size.</summary>
    [JsonStringEnumMemberName("resized")] Resized,
    /// <summary>A device has another status: flags, backing file, direct I/O, sector size, offset, reference.</summary>
    [JsonStringEnumMemberName("changed")] Changed,
    /// <summary>A device's partition table was read.</summary>
    [JsonStringEnumMemberName("scanned")] Scanned,
    /// <summary>A request failed in the backing file.</summary>
    [JsonStringEnumMemberName("failed")] Failed,
    /// <summary>The client was too slow: events were left out.</summary>
    [JsonStringEnumMemberName("lost")] Lost,
}

/// <summary>Something that happened to a device that the caller may see.</summary>
public sealed record DeviceEvent
{
    /// <summary>What happened.</summary>
    public required EventKind Kind { get; init; }

    /// <summary>When, in milliseconds since 1970 (UTC).</summary>
    public required long Time { get; init; }

    /// <summary>The device's number; none for <see cref="EventKind.Ready"/> and <see cref="EventKind.Lost"/>.</summary>
    public int? Device { get; init; }

    /// <summary>The path of its block file.</summary>
    public string? Path { get; init; }

    /// <summary>The backing file that it is, or until now was, bound to.</summary>
    public string? BackingFile { get; init; }

    /// <summary>Its size in bytes, while it is bound.</summary>
    public long? Size { get; init; }

    /// <summary>How many partitions were found, for <see cref="EventKind.Scanned"/>.</summary>
    public int? Partitions { get; init; }

    /// <summary>What failed, for <see cref="EventKind.Failed"/>: read, write, flush, discard or write zeroes.</summary>
    public string? Operation { get; init; }

    /// <summary>Where it failed, in bytes from the start of the device.</summary>
    public long? Offset { get; init; }

    /// <summary>How many bytes it was about.</summary>
    public long? Length { get; init; }

    /// <summary>The symbol of its error, such as EIO.</summary>
    public string? Errno { get; init; }

    /// <summary>How many events were left out, for <see cref="EventKind.Lost"/>.</summary>
    public long? Count { get; init; }
}
