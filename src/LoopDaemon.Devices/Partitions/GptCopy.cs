using System.IO.Hashing;
using LoopDaemon.Linux;

namespace LoopDaemon.Devices;

/// <summary>One of the two copies of a GUID partition table: the primary at the beginning of a device, or the backup at its
/// end.</summary>
internal sealed class GptCopy
{
    private readonly List<(int Number, GptEntry Entry)> _used = [];

    /// <summary>Reads and checks a copy.</summary>
    /// <param name="device">The device.</param>
    /// <param name="sector">The sector of its header.</param>
    internal GptCopy(SectorReader device, ulong sector)
    {
        Sector = sector;
        Damage = ReadHeader(device, out GptHeader header);
        Header = header;
        HasHeader = Damage is null;
        Damage ??= ReadEntries(device);
    }

    /// <summary>The sector of the header.</summary>
    internal ulong Sector { get; }

    /// <summary>Null, or what is wrong: the predicate of a sentence about the copy.</summary>
    internal string? Damage { get; }

    /// <summary>Whether the header is intact, and only the entries may be damaged.</summary>
    internal bool HasHeader { get; }

    /// <summary>The header, where it is intact.</summary>
    internal GptHeader Header { get; }

    /// <summary>The entries in use, with the numbers of their partitions; only those of an intact copy mean anything.</summary>
    internal IReadOnlyList<(int Number, GptEntry Entry)> Used => _used;

    private string? ReadHeader(SectorReader device, out GptHeader header)
    {
        header = default;
        ulong sectorCount = (ulong)device.SectorCount;
        if (Sector >= sectorCount)
            return "lies past the end of the device";
        Errno error = device.ReadSector((long)Sector, out ReadOnlySpan<byte> bytes);
        return error == Errno.None
            ? GptHeader.Read(bytes, Sector, sectorCount, out header)
            : $"cannot be read ({error.Name()})";
    }

    private string? ReadEntries(SectorReader device)
    {
        if (Header.EntriesSector >= (ulong)device.SectorCount || device.BytesFrom((long)Header.EntriesSector) < Header.EntriesBytes)
            return "has entries past the end of the device";
        var crc = new Crc32();
        long sector = (long)Header.EntriesSector, leftBytes = Header.EntriesBytes;
        int number = 0;
        while (leftBytes > 0)
        {
            Errno error = device.Read(sector, leftBytes, out ReadOnlySpan<byte> bytes);
            if (error != Errno.None)
                return $"has entries that cannot be read ({error.Name()})";
            sector += bytes.Length / device.SectorBytes;
            bytes = bytes[..(int)Math.Min(bytes.Length, leftBytes)];
            leftBytes -= bytes.Length;
            crc.Append(bytes);
            for (; !bytes.IsEmpty; bytes = bytes[GptEntry.Bytes..])
            {
                number++;
                var entry = GptEntry.Read(bytes);
                if (entry.IsUsed)
                    _used.Add((number, entry));
            }
        }
        return crc.GetCurrentHashAsUInt32() == Header.EntriesChecksum ? null : "has a wrong checksum of its entries";
    }
}
