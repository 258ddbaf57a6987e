namespace LoopDaemon.Control;

/// <summary>What SetStatus changes of a bound device (LOOP_SET_STATUS64); what is null stays.</summary>
public sealed record StatusChange
{
    /// <summary>Whether the device clears itself at its last close.</summary>
    public bool? Autoclear { get; init; }

    /// <summary>Whether its partitions are shown; can be set and not taken back, as with the kernel.</summary>
    public bool? Partscan { get; init; }

    /// <summary>Where the device begins in the backing file, in bytes; only while it is not open.</summary>
    public long? Offset { get; init; }

    /// <summary>Most bytes that it has, 0 for no limit; only while it is not open.</summary>
    public long? SizeLimit { get; init; }

    /// <summary>The free text that is kept with it, 63 bytes of UTF-8 at most.</summary>
    public string? Reference { get; init; }
}
