using LoopDaemon.Linux;
using LoopDaemon.Transfers;

namespace LoopDaemon.Devices;

/// <summary>What a device is to be bound to, and how (LOOP_CONFIGURE's arguments).</summary>
public sealed record BindRequest
{
    /// <summary>The open backing file; from <see cref="DeviceTable.Bind"/> on it belongs to the device, also when that fails.</summary>
    public required FileDescriptor BackingFile { get; init; }

    /// <summary>Where the device begins in the backing file, in bytes.</summary>
    public long OffsetBytes { get; init; }

    /// <summary>The device's greatest size in bytes; 0 means up to the end of the backing file.</summary>
    public long SizeLimitBytes { get; init; }

    /// <summary>Refuse writes, also where the backing file could take them.</summary>
    public bool IsReadOnly { get; init; }

    /// <summary>Clear the device at its last close.</summary>
    public bool Autoclear { get; init; }

    /// <summary>Show the partitions that a table on the device names.</summary>
    public bool Partscan { get; init; }

    /// <summary>Read and write the backing file past the page cache, if that can be.</summary>
    public bool DirectIo { get; init; }

    /// <summary>Whether the kernel may read and write the backing file in the daemon's place.</summary>
    public Passthrough Passthrough { get; init; }

    /// <summary>Looks at a binding before the device is bound, and throws where it will not do.</summary>
    public Action<Binding>? Check { get; init; }

    /// <summary>The logical sector size in bytes: a power of two from 512 to 4096.</summary>
    public int SectorBytes { get; init; } = Binding.DefaultSectorBytes;

    /// <summary>Free text kept with the device, <see cref="Binding.MaxReferenceBytes"/> of UTF-8 at most.</summary>
    public string Reference { get; init; } = "";

    /// <summary>Refuse what overlaps a bound device; without a number, use one with the same backing file, offset and size
    /// limit again instead.</summary>
    public bool NoOverlap { get; init; }

    /// <summary>The pipeline; the first transfer is nearest the user's data.</summary>
    public IReadOnlyList<TransferSpec> Transfers { get; init; } = [];

    /// <summary>With transfers that use a key: let discards through (see <see cref="Storage.TransferStore"/> for the price).</summary>
    public bool AllowDiscards { get; init; }

    /// <summary>Count the transfers' sector numbers from the offset instead of from the start of the backing file.</summary>
    public bool SectorsFromOffset { get; init; }

    /// <summary>The user the device belongs to.</summary>
    public uint OwnerUid { get; init; }

    /// <summary>The group of the device's file.</summary>
    public uint OwnerGid { get; init; }

    /// <summary>The permission bits of the device's file.</summary>
    public uint Permissions { get; init; } = 0b110_000_000;
}
