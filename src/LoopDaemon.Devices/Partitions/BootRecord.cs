using System.Buffers.Binary;

namespace LoopDaemon.Devices;

/// <summary>The 512 bytes that a master boot record, each record of a chain of logical partitions, and the boot sector of
/// a file system have in common: something, four entries or something else, and the signature 55 AA.</summary>
internal static class BootRecord
{
    private const int EntriesOffset = 446;
    private const int EntryCount = 4;
    private const int SignatureOffset = 510;

    internal static bool HasSignature(ReadOnlySpan<byte> sector) =>
        sector[SignatureOffset] == 0x55 && sector[SignatureOffset + 1] == 0xAA;

    internal static MbrEntry[] ReadEntries(ReadOnlySpan<byte> sector)
    {
        var entries = new MbrEntry[EntryCount];
        for (int i = 0; i < EntryCount; i++)
            entries[i] = MbrEntry.Read(sector.Slice(EntriesOffset + i * MbrEntry.Bytes, MbrEntry.Bytes));
        return entries;
    }

    /// <summary>Whether a sector with the signature is a partition table, not the boot sector of a file system.</summary>
    /// <remarks>The kernel goes by the boot indicators. Where a file system's boot code leaves the place of the entries
    /// empty, it finds a table without partitions; here that is no table.</remarks>
    internal static bool IsTable(ReadOnlySpan<byte> sector, MbrEntry[] entries) =>
        Array.TrueForAll(entries, entry => entry.HasBootIndicator)
        && (Array.Exists(entries, entry => entry.IsUsed) || !IsFileSystem(sector));

    private static bool IsFileSystem(ReadOnlySpan<byte> sector)
    {
        ReadOnlySpan<byte> name = sector.Slice(3, 8);
        return name.SequenceEqual("NTFS    "u8) || name.SequenceEqual("EXFAT   "u8) || IsFat(sector);
    }

    /// <summary>The kernel's own test: reserved sectors, FATs and media (<c>fat_valid_media</c> of
    /// include/uapi/linux/msdos_fs.h).</summary>
    private static bool IsFat(ReadOnlySpan<byte> sector) =>
        BinaryPrimitives.ReadUInt16LittleEndian(sector[14..]) != 0 && sector[16] != 0 && sector[21] is 0xF0 or >= 0xF8;
}
