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

    /// <summary>The pipeline; the first transfer is nearest the user's data.</summary>
    public IReadOnlyList<TransferSpec> Transfers { get; init; } = [];

    /// <summary>With transfers that use a key: let discards through (see <see cref="Storage.TransferStore"/> for the price).</summary>
    public bool AllowDiscards { get; init; }

    /// <summary>Count the transfers' sector numbers from the offset instead of from the start of the backing file.</summary>
    public bool SectorsFromOffset { get; init; }

    /// <summary>The user the device belongs to.</summary>
    public uint OwnerUid { get; init; }

    /// <summary>The owner's group.</summary>
    public uint OwnerGid { get; init; }
}
