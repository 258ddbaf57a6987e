using System.Buffers.Binary;

namespace LoopDaemon.Devices;

/// <summary>One of the four entries of a boot record (<c>struct msdos_partition</c> of include/linux/msdos_partition.h).</summary>
/// <param name="BootIndicator">0x80 for the active partition, otherwise 0.</param>
/// <param name="Type">The type of the partition.</param>
/// <param name="FirstSector">Its first sector; from where that counts depends on the record.</param>
/// <param name="SectorCount">Its length in sectors; 0 makes the entry an empty one.</param>
internal readonly record struct MbrEntry(byte BootIndicator, byte Type, uint FirstSector, uint SectorCount)
{
    /// <summary>The length of an entry in bytes.</summary>
    internal const int Bytes = 16;

    internal bool IsUsed => SectorCount != 0;

    internal bool HasBootIndicator => BootIndicator is 0 or 0x80;

    /// <summary>The types of DOS, Windows 95 and Linux.</summary>
    internal bool IsExtended => Type is 0x05 or 0x0F or 0x85;

    /// <summary>The type that keeps programs which do not know GPT off the device.</summary>
    internal bool IsProtective => Type == 0xEE;

    // boot indicator, first cylinder-head-sector (3), type, last cylinder-head-sector (3), first sector, sector count
    internal static MbrEntry Read(ReadOnlySpan<byte> entry) => new(
        entry[0], entry[4], BinaryPrimitives.ReadUInt32LittleEndian(entry[8..]), BinaryPrimitives.ReadUInt32LittleEndian(entry[12..]));
}
