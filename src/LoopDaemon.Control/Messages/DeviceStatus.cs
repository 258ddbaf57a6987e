namespace LoopDaemon.Control;

/// <summary>A bound device.</summary>
public sealed record DeviceStatus
{
    /// <summary>The device's number.</summary>
    public required int Device { get; init; }

    /// <summary>The path of its block file.</summary>
    public required string Path { get; init; }

    /// <summary>The path of its backing file as the kernel shows it.</summary>
    public required string BackingFile { get; init; }

    /// <summary>The file system that the backing file is on.</summary>
    public required DeviceNumber BackingDevice { get; init; }

    /// <summary>The backing file's inode number.</summary>
    public required ulong BackingInode { get; init; }

    /// <summary>Where the device begins in the backing file, in bytes.</summary>
    public required long Offset { get; init; }

    /// <summary>Most bytes that the device may have; 0 for no limit.</summary>
    public required long SizeLimit { get; init; }

    /// <summary>Its size in bytes.</summary>
    public required long Size { get; init; }

    /// <summary>Whether it refuses writes.</summary>
    public required bool ReadOnly { get; init; }

    /// <summary>Whether it clears itself at its last close.</summary>
    public required bool Autoclear { get; init; }

    /// <summary>Whether the backing file is read and written past the page cache.</summary>
    public required bool DirectIo { get; init; }

    /// <summary>Whether the kernel reads and writes the backing file itself.</summary>
    public PassthroughStatus Passthrough { get; init; } = new(Active: false, BytesPastEnd: 0);

    /// <summary>The logical sector size in bytes.</summary>
    public int SectorSize { get; init; } = 512;

    /// <summary>Whether its partitions are shown.</summary>
    public required bool Partscan { get; init; }

    /// <summary>The partitions that were found, by number; empty without <see cref="Partscan"/>.</summary>
    public required IReadOnlyList<PartitionStatus> Partitions { get; init; }

    /// <summary>The free text that is kept with it.</summary>
    public required string Reference { get; init; }

    /// <summary>The names of its transfers, in the order in which a write passes them.</summary>
    public required IReadOnlyList<string> Transfers { get; init; }

    /// <summary>Whether discards reach the backing file in spite of a transfer with a key.</summary>
    public required bool AllowDiscards { get; init; }

    /// <summary>Whether the transfers count sectors from <see cref="Offset"/> instead of from the start of the file.</summary>
    public required bool SectorsFromOffset { get; init; }

    /// <summary>The user who bound it.</summary>
    public required uint Owner { get; init; }

    /// <summary>The group of its block file.</summary>
    public required uint Group { get; init; }

    /// <summary>The permission bits of its block file.</summary>
    public required int Mode { get; init; }

    /// <summary>When it was bound, in milliseconds since 1970 (UTC).</summary>
    public required long BoundAt { get; init; }

    /// <summary>How often it is open.</summary>
    public required int Openers { get; init; }

    /// <summary>What it has done since it was bound.</summary>
    public required TrafficStatus Traffic { get; init; }
}
