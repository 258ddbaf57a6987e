using LoopDaemon.Storage;

namespace LoopDaemon.Devices;

/// <summary>A partition of a bound device, as a window on it.</summary>
public sealed class DevicePartition
{
    private int _openers;

    internal DevicePartition(BlockStore device, Partition partition)
    {
        Number = partition.Number;
        OffsetBytes = partition.OffsetBytes;
        // The device owns the stores below; a window itself holds nothing.
        Window = new WindowStore(device, partition.OffsetBytes, partition.LengthBytes);
    }

    /// <summary>Its number, from 1.</summary>
    public int Number { get; }

    /// <summary>Where it begins on the device, in bytes.</summary>
    public long OffsetBytes { get; }

    /// <summary>Its length in bytes.</summary>
    public long LengthBytes => Window.Length;

    /// <summary>How many times it is open.</summary>
    public int Openers => _openers;

    internal WindowStore Window { get; }

    /// <summary>Counts an open or a close; the caller holds the device's lock.</summary>
    internal void Count(int change) => _openers += change;
}
