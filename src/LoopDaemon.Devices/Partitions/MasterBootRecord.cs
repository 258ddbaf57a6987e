namespace LoopDaemon.Devices;

/// <summary>The partitions of a master boot record: up to four primary ones, which have the numbers of their entries, and
/// from 5 on the logical ones inside extended partitions.</summary>
internal static class MasterBootRecord
{
    private const int FirstLogicalNumber = 5;

    /// <summary>What is shown of an extended partition: room for a boot loader, too little for a file system.</summary>
    private const int ShownExtendedBytes = 1024;

    internal static void Read(SectorReader device, MbrEntry[] entries, PartitionList found)
    {
        int nextLogical = FirstLogicalNumber;
        for (int number = 1; number <= entries.Length; number++)
        {
            MbrEntry entry = entries[number - 1];
            if (!entry.IsUsed)
                continue;
            if (entry.IsExtended)
            {
                int shownSectors = Math.Max(ShownExtendedBytes / device.SectorBytes, 1);
                found.Add(number, entry.FirstSector, Math.Min(entry.SectorCount, shownSectors));
                nextLogical = new ExtendedPartition(device, entry, number, found).ReadLogicals(nextLogical);
            }
            else
            {
                found.Add(number, entry.FirstSector, entry.SectorCount);
            }
        }
    }
}
