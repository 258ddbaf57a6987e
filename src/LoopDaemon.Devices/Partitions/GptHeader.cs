using System.Buffers.Binary;
using System.IO.Hashing;

namespace LoopDaemon.Devices;

/// <summary>The header of a copy of a GUID partition table (UEFI specification 2.10, 5.3.2).</summary>
/// <param name="Sector">The sector that the header is in.</param>
/// <param name="OtherSector">The sector of the other copy's header.</param>
/// <param name="FirstUsable">The first sector that a partition may have.</param>
/// <param name="LastUsable">The last one.</param>
/// <param name="Device">The GUID of the device.</param>
/// <param name="EntriesSector">Where the entries begin.</param>
/// <param name="EntryCount">How many there are, unused ones included.</param>
/// <param name="EntryBytes">The length of each.</param>
/// <param name="EntriesChecksum">The CRC-32 of all of them.</param>
internal readonly record struct GptHeader(
    ulong Sector, ulong OtherSector, ulong FirstUsable, ulong LastUsable, Guid Device,
    ulong EntriesSector, uint EntryCount, uint EntryBytes, uint EntriesChecksum)
{
    /// <summary>The most bytes of entries that the kernel takes: KMALLOC_MAX_SIZE.</summary>
    private const long MaxEntriesBytes = 4 << 20;

    private const int MinBytes = 92;
    private const int LengthOffset = 12;
    private const int ChecksumOffset = 16;

    /// <summary>The length of all entries in bytes.</summary>
    internal long EntriesBytes => (long)EntryCount * EntryBytes;

    internal static bool HasSignature(ReadOnlySpan<byte> bytes) => bytes.StartsWith("EFI PART"u8);

    /// <summary>Reads and checks a header (<c>is_gpt_valid</c> of efi.c, which takes any revision).</summary>
    /// <param name="bytes">The bytes of the sector that it is in.</param>
    /// <param name="sector">That sector's number.</param>
    /// <param name="sectorCount">How many sectors the device has.</param>
    /// <param name="header">The header; without meaning where it is damaged.</param>
    /// <returns>Null, or what is wrong: the predicate of a sentence about the copy.</returns>
    internal static string? Read(ReadOnlySpan<byte> bytes, ulong sector, ulong sectorCount, out GptHeader header)
    {
        header = default;
        if (!HasSignature(bytes))
            return "has no signature";
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(bytes[LengthOffset..]);
        if (length < MinBytes || length > bytes.Length)
            return $"has a header of {length} bytes";
        bytes = bytes[..(int)length];
        if (Checksum(bytes) != BinaryPrimitives.ReadUInt32LittleEndian(bytes[ChecksumOffset..]))
            return "has a wrong checksum of its header";
        header = Parse(bytes);
        return header.FindDamage(sector, sectorCount);
    }

    /// <summary>Whether two intact headers are copies of each other (<c>compare_gpts</c> of efi.c).</summary>
    internal bool IsCopyOf(in GptHeader other) => other == this with
    {
        Sector = OtherSector,
        OtherSector = Sector,
        EntriesSector = other.EntriesSector,
    };

    // signature (8), revision (4), length (4), checksum (4), reserved (4), own sector (8), other sector (8),
    // first usable (8), last usable (8), device (16), entries' sector (8), count (4), length of each (4), checksum (4)
    private static GptHeader Parse(ReadOnlySpan<byte> bytes) => new(
        BinaryPrimitives.ReadUInt64LittleEndian(bytes[24..]),
        BinaryPrimitives.ReadUInt64LittleEndian(bytes[32..]),
        BinaryPrimitives.ReadUInt64LittleEndian(bytes[40..]),
        BinaryPrimitives.ReadUInt64LittleEndian(bytes[48..]),
        new Guid(bytes.Slice(56, 16)),
        BinaryPrimitives.ReadUInt64LittleEndian(bytes[72..]),
        BinaryPrimitives.ReadUInt32LittleEndian(bytes[80..]),
        BinaryPrimitives.ReadUInt32LittleEndian(bytes[84..]),
        BinaryPrimitives.ReadUInt32LittleEndian(bytes[88..]));

    /// <summary>The CRC-32 of a header in which the checksum itself counts as zeros.</summary>
    private static uint Checksum(ReadOnlySpan<byte> header)
    {
        var crc = new Crc32();
        crc.Append(header[..ChecksumOffset]);
        crc.Append(stackalloc byte[sizeof(uint)]);
        crc.Append(header[(ChecksumOffset + sizeof(uint))..]);
        return crc.GetCurrentHashAsUInt32();
    }

    private string? FindDamage(ulong sector, ulong sectorCount)
    {
        if (Sector != sector)
            return $"claims to be in sector {Sector}";
        if (LastUsable < FirstUsable)
            return $"has no usable sectors ({FirstUsable} to {LastUsable})";
        if (LastUsable >= sectorCount)
            return $"is for a larger device (its last usable sector is {LastUsable}, of {sectorCount} that there are)";
        if (EntryBytes != GptEntry.Bytes)
            return $"has entries of {EntryBytes} bytes instead of {GptEntry.Bytes}";
        if (EntriesBytes is 0 or > MaxEntriesBytes)
            return $"has {EntryCount} entries";
        return null;
    }
}
