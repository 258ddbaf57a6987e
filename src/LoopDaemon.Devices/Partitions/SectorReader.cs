using LoopDaemon.Linux;
using LoopDaemon.Storage;

namespace LoopDaemon.Devices;

/// <summary>Reads a device by logical sectors into one piece of memory, whose size does not depend on the device.</summary>
/// <remarks>Whole sectors into whole pages, so that a backing file opened with O_DIRECT answers too.</remarks>
internal sealed class SectorReader : IDisposable
{
    private const int MemoryBytes = 64 << 10;

    /// <summary>What the kernel counts a device's size in, whatever its sectors are.</summary>
    private const int CapacityUnitBytes = 512;

    private readonly BlockStore _device;
    private readonly PageMemory _memory = PageMemory.Allocate(MemoryBytes);

    internal SectorReader(BlockStore device, int sectorBytes)
    {
        _device = device;
        SectorBytes = sectorBytes;
        LengthBytes = device.Length / CapacityUnitBytes * CapacityUnitBytes;
    }

    /// <summary>The logical sector in bytes.</summary>
    internal int SectorBytes { get; }

    /// <summary>The device's length in bytes, a multiple of 512.</summary>
    internal long LengthBytes { get; }

    /// <summary>How many whole sectors the device has.</summary>
    internal long SectorCount => LengthBytes / SectorBytes;

    /// <summary>How many bytes of the device there are from a sector on; 0 or fewer for one past the end.</summary>
    internal long BytesFrom(long sector) => LengthBytes - sector * SectorBytes;

    /// <summary>Reads one sector; of a last one that is not whole, what there is.</summary>
    /// <param name="sector">Its number, within the device.</param>
    /// <param name="bytes">At least 512 bytes, which the next read overwrites.</param>
    internal Errno ReadSector(long sector, out ReadOnlySpan<byte> bytes) => Read(sector, SectorBytes, out bytes);

    /// <summary>Reads the beginning of a range: as much as fits into the memory.</summary>
    /// <param name="sector">Where it begins, within the device.</param>
    /// <param name="lengthBytes">Its length in bytes, of which the last sector is read whole.</param>
    /// <param name="bytes">The bytes, which the next read overwrites.</param>
    internal Errno Read(long sector, long lengthBytes, out ReadOnlySpan<byte> bytes)
    {
        long wholeSectors = (lengthBytes + SectorBytes - 1) / SectorBytes * SectorBytes;
        long count = Math.Min(Math.Min(wholeSectors, BytesFrom(sector)), MemoryBytes);
        Span<byte> memory = _memory.Span(0, (int)count);
        bytes = memory;
        return _device.Read(sector * SectorBytes, memory);
    }

    /// <inheritdoc/>
    public void Dispose() => _memory.Dispose();
}
