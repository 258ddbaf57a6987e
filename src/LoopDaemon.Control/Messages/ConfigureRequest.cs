using LoopDaemon.Linux;

namespace LoopDaemon.Control;

/// <summary>What to bind to which device, and how.</summary>
public sealed record ConfigureRequest
{
    /// <summary>The device's number, not negative; null for the first free one.</summary>
    public int? Device { get; init; }

    /// <summary>The opened backing file. Whoever makes the request keeps it: the server closes its own when the call is
    /// over, so a service that goes on using the file duplicates it.</summary>
    public required FileDescriptor BackingFile { get; init; }

    /// <summary>Where the device begins in the backing file, in bytes, not negative.</summary>
    public long Offset { get; init; }

    /// <summary>Most bytes that the device has, not negative; 0 for no limit.</summary>
    public long SizeLimit { get; init; }

    /// <summary>Whether to refuse writes even where the backing file would take them.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>Whether the device clears itself at its last close.</summary>
    public bool Autoclear { get; init; }

    /// <summary>Whether to look for a partition table and show its partitions.</summary>
    public bool Partscan { get; init; }

    /// <summary>Whether to read and write the backing file past the page cache; where that cannot be, a warning says so.</summary>
    public bool DirectIo { get; init; }

    /// <summary>Whether the kernel may read and write the backing file itself; null leaves it to the daemon.</summary>
    public PassthroughChoice? Passthrough { get; init; }

    /// <summary>The logical sector size in bytes, a power of two from 512 to 4096.</summary>
    public int SectorSize { get; init; } = 512;

    /// <summary>Free text that is kept with the device, 63 bytes of UTF-8 at most.</summary>
    public string Reference { get; init; } = "";

    /// <summary>The group that the device's file belongs to, one of the caller's; null for the caller's own.</summary>
    public uint? Group { get; init; }

    /// <summary>The permission bits of the device's file, read and write only; null for 0600.</summary>
    public int? Mode { get; init; }

    /// <summary>Whether to refuse what overlaps a bound device. Without a <see cref="Device"/>, one with the same backing
    /// file, offset and size limit is used again instead.</summary>
    public bool NoOverlap { get; init; }

    /// <summary>The pipeline, in the order in which a write passes it; empty for none.</summary>
    public IReadOnlyList<TransferRequest> Transfers { get; init; } = [];

    /// <summary>Whether discards reach the backing file although a transfer encrypts it (which shows what is in use).</summary>
    public bool AllowDiscards { get; init; }

    /// <summary>Whether the transfers count sectors from <see cref="Offset"/>; otherwise from the start of the backing
    /// file, as the kernel did.</summary>
    public bool SectorsFromOffset { get; init; }
}
