using LoopDaemon.Linux;

namespace LoopDaemon.Devices;

/// <summary>An extended partition of a master boot record, and the logical partitions chained inside it.</summary>
/// <remarks>Each link of the chain is a boot record, whose entries are a logical partition, counted from the link, and the
/// next link, counted from the extended partition (<c>parse_extended</c> of msdos.c). As in the kernel, a chain may leave
/// its partition, and is followed for as long as the numbers last; a link without a partition takes none. Unlike there,
/// a circular chain is gone through once, not again and again under new numbers.</remarks>
internal sealed class ExtendedPartition(SectorReader device, MbrEntry entry, int number, PartitionList found)
{
    /// <summary>How many links in a row may hold no partition.</summary>
    private const int MaxEmptyLinks = 100;

    private readonly long _first = entry.FirstSector;
    private readonly long _end = (long)entry.FirstSector + entry.SectorCount;
    private readonly HashSet<long> _visited = [];
    private bool _hasLeft;

    private string Name => found.NameOf(number);

    /// <summary>Adds the logical partitions.</summary>
    /// <param name="next">The number of the first.</param>
    /// <returns>The number after that of the last.</returns>
    internal int ReadLogicals(int next)
    {
        long link = _first, linkSectors = entry.SectorCount;
        int emptyLinks = 0;
        while (ReadLink(link) is { } entries)
        {
            emptyLinks++;
            foreach (MbrEntry logical in entries.Where((candidate, i) => IsLogical(candidate, i, link, linkSectors)))
            {
                if (!found.Add(next, link + logical.FirstSector, logical.SectorCount))
                    return next;
                next++;
                emptyLinks = 0;
            }
            int onward = Array.FindIndex(entries, candidate => candidate.IsUsed && candidate.IsExtended);
            if (onward < 0)
                break;
            if (emptyLinks == MaxEmptyLinks)
            {
                found.Warn($"more than {MaxEmptyLinks} links in a row of the chain in {Name} hold no logical partition; those after them are left out");
                break;
            }
            link = _first + entries[onward].FirstSector;
            linkSectors = entries[onward].SectorCount;
        }
        return next;
    }

    /// <summary>Whether an entry is a logical partition. The first two may be, for DR-DOS put the partition and the link in
    /// either order; the others, which OS/2 used too, often hold garbage and count where they fit into their link.</summary>
    private bool IsLogical(MbrEntry candidate, int index, long link, long linkSectors)
    {
        if (!candidate.IsUsed || candidate.IsExtended)
            return false;
        long end = (long)candidate.FirstSector + candidate.SectorCount;
        return index < 2 || (end <= linkSectors && link + end <= _end);
    }

    /// <summary>The entries of a link, or null, with a warning, where the chain breaks off.</summary>
    private MbrEntry[]? ReadLink(long link)
    {
        if (!_visited.Add(link))
            return BreakOff($"leads back to sector {link}");
        if (device.BytesFrom(link) <= 0)
            return BreakOff($"leads to sector {link}, past the end of {found.DeviceName} ({device.SectorCount} sectors)");
        Errno error = device.ReadSector(link, out ReadOnlySpan<byte> sector);
        if (error != Errno.None)
            return BreakOff($"cannot be read in sector {link} ({error.Name()})");
        if (!BootRecord.HasSignature(sector))
            return BreakOff($"leads to sector {link}, which has no signature 55 AA");
        if (link >= _end && !_hasLeft)
        {
            _hasLeft = true;
            found.Warn($"the chain of logical partitions in {Name} leads to sector {link}, past its end in sector {_end - 1}");
        }
        return BootRecord.ReadEntries(sector);
    }

    private MbrEntry[]? BreakOff(string why)
    {
        found.Warn($"the chain of logical partitions in {Name} {why}, and ends there");
        return null;
    }
}
