using LoopDaemon.Linux;

namespace LoopDaemon.Devices;

/// <summary>What of a binding can change while it lasts.</summary>
/// <param name="BackingPath">The backing file's path when it was handed over.</param>
/// <param name="Backing">The backing file's status at that time.</param>
/// <param name="DirectAlignmentBytes">What offsets of direct I/O on the backing file are multiples of, in bytes, at that time; 0
/// where it has no direct I/O.</param>
/// <param name="OffsetBytes">Where the device begins in it, in bytes.</param>
/// <param name="SizeLimitBytes">The greatest size asked for in bytes; 0 is none.</param>
/// <param name="SectorBytes">The logical sector size in bytes.</param>
/// <param name="Reference">Free text.</param>
/// <param name="Partscan">Whether partitions are shown.</param>
public sealed record BindingStatus(
    string BackingPath, FileStatus Backing, int DirectAlignmentBytes, long OffsetBytes, long SizeLimitBytes, int SectorBytes, string Reference, bool Partscan);

/// <summary>A change of a bound device (LOOP_SET_STATUS64); what is null stays.</summary>
public sealed record BindingChange
{
    /// <summary>Clear the device at its last close.</summary>
    public bool? Autoclear { get; init; }

    /// <summary>Show partitions; can be set and not taken back.</summary>
    public bool? Partscan { get; init; }

    /// <summary>Where the device begins in the backing file, in bytes.</summary>
    public long? OffsetBytes { get; init; }

    /// <summary>The greatest size in bytes; 0 is none.</summary>
    public long? SizeLimitBytes { get; init; }

    /// <summary>Free text, <see cref="Binding.MaxReferenceBytes"/> of UTF-8 at most.</summary>
    public string? Reference { get; init; }
}
