using LoopDaemon.Linux;

namespace LoopDaemon.Devices;

/// <summary>The partitions of a GUID partition table: those of the primary copy, or none at all.</summary>
/// <remarks>Like the kernel, it does not take the backup for a damaged primary by itself: which of the two to believe is
/// for the user to say, with a program that then repairs the other.</remarks>
internal static class GuidPartitionTable
{
    /// <summary>The sector of the primary copy's header.</summary>
    internal const ulong PrimarySector = 1;

    internal static void Read(SectorReader device, PartitionList found)
    {
        var primary = new GptCopy(device, PrimarySector);
        if (primary.Damage is null)
        {
            AddPartitions(device, primary, found);
            CompareBackup(device, primary, found);
        }
        else
        {
            ExplainDamage(device, primary, found);
        }
    }

    private static void AddPartitions(SectorReader device, GptCopy primary, PartitionList found)
    {
        ulong lastSector = (ulong)device.SectorCount - 1;
        foreach ((int number, GptEntry entry) in primary.Used)
        {
            if (entry.FirstSector > lastSector || entry.LastSector > lastSector)
                found.Warn($"{found.NameOf(number)} (sectors {entry.FirstSector} to {entry.LastSector}) does not lie within {found.DeviceName}, which ends in sector {lastSector}, and is left out");
            else if (entry.LastSector < entry.FirstSector)
                found.Warn($"{found.NameOf(number)} ends in sector {entry.LastSector}, before it begins in sector {entry.FirstSector}, and is left out");
            else if (!found.Add(number, (long)entry.FirstSector, (long)(entry.LastSector - entry.FirstSector) + 1))
                break;
        }
    }

    private static void CompareBackup(SectorReader device, GptCopy primary, PartitionList found)
    {
        var backup = new GptCopy(device, primary.Header.OtherSector);
        string where = $"the backup GPT of {found.DeviceName} in sector {backup.Sector}";
        if (backup.Damage is not null)
            found.Warn($"{where} {backup.Damage}; the primary GPT is intact and used; {Repair(device)}");
        else if (!primary.Header.IsCopyOf(backup.Header))
            found.Warn($"{where} differs from the primary GPT, which is used; {Repair(device)}");
        else if (backup.Sector != (ulong)device.SectorCount - 1)
            found.Warn($"{where} is not at the end of the device, which ends in sector {device.SectorCount - 1}; {Repair(device)}");
    }

    private static void ExplainDamage(SectorReader device, GptCopy primary, PartitionList found)
    {
        string what = $"the primary GPT of {found.DeviceName} {primary.Damage}";
        var backup = new GptCopy(device, primary.HasHeader ? primary.Header.OtherSector : (ulong)device.SectorCount - 1);
        if (backup.Damage is null)
            found.Warn($"{what}, so no partitions are shown; its backup in sector {backup.Sector} looks intact; {Repair(device)}");
        else if (FindOtherSectorSize(device) is { } sectorBytes)
            found.Warn($"the GPT of {found.DeviceName} is one for sectors of {sectorBytes} bytes, not {device.SectorBytes}, so no partitions are shown; bind the device with sectors of that size");
        else
            found.Warn($"{what}, and its backup in sector {backup.Sector} {backup.Damage}, so no partitions are shown");
    }

    /// <summary>Finds the header that the primary sector would hold if sectors had another size: the table of a disk with
    /// sectors of 4096 bytes, copied into a file that is taken for one with 512, or the other way round.</summary>
    private static int? FindOtherSectorSize(SectorReader device)
    {
        for (int candidate = PartitionTable.MinSectorBytes; candidate <= PartitionTable.MaxSectorBytes; candidate *= 2)
        {
            (int sector, int offset) = Math.DivRem(candidate, device.SectorBytes);
            if (candidate != device.SectorBytes && device.BytesFrom(sector) > offset
                && device.ReadSector(sector, out ReadOnlySpan<byte> bytes) == Errno.None
                && GptHeader.HasSignature(bytes[offset..]))
            {
                return candidate;
            }
        }
        return null;
    }

    /// <summary>How the user makes one copy from the other. Both programs take every file for a disk with sectors of
    /// 512 bytes, and sgdisk would write an empty table over one for larger sectors.</summary>
    private static string Repair(SectorReader device) => device.SectorBytes == PartitionTable.MinSectorBytes
        ? "'sgdisk -e' or 'echo write | sfdisk' on the device repairs it"
        : $"'sgdisk -e' repairs it, on a kernel loop device with such sectors ('losetup --sector-size {device.SectorBytes}')";
}
