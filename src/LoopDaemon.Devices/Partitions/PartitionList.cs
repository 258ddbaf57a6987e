namespace LoopDaemon.Devices;

/// <summary>The partitions found so far on a device, and what the user should know of them.</summary>
internal sealed class PartitionList(SectorReader device, string deviceName)
{
    /// <summary>The greatest number of a partition (DISK_MAX_PARTS of include/linux/blkdev.h is one more).</summary>
    private const int MaxNumber = 255;

    private readonly List<Partition> _partitions = [];
    private readonly List<string> _warnings = [];
    private bool _isFull;

    internal string DeviceName => deviceName;

    internal IReadOnlyList<string> Warnings => _warnings;

    internal IReadOnlyList<Partition> InOrder() => [.. _partitions.OrderBy(partition => partition.Number)];

    internal string NameOf(int number) => $"{deviceName}p{number}";

    internal void Warn(string sentence) => _warnings.Add(sentence);

    /// <summary>Adds a partition as far as it lies within the device (<c>blk_add_partition</c>).</summary>
    /// <param name="number">From 1, each once.</param>
    /// <param name="firstSector">Its first sector, less than 2^40.</param>
    /// <param name="sectorCount">Its length in sectors, from 1 to less than 2^40.</param>
    /// <returns>False for a number too great, as all that follow will be.</returns>
    internal bool Add(int number, long firstSector, long sectorCount)
    {
        if (number > MaxNumber)
        {
            if (!_isFull)
                Warn($"{deviceName} has partitions beyond {NameOf(MaxNumber)}, which are left out");
            _isFull = true;
            return false;
        }
        long lengthBytes = sectorCount * device.SectorBytes, availableBytes = device.BytesFrom(firstSector);
        if (availableBytes <= 0)
        {
            Warn($"{NameOf(number)} begins in sector {firstSector}, past the end of {deviceName} ({device.SectorCount} sectors), and is left out");
            return true;
        }
        if (lengthBytes > availableBytes)
        {
            Warn($"{NameOf(number)} ends in sector {firstSector + sectorCount - 1}, past the end of {deviceName} ({device.SectorCount} sectors), and is cut short");
            lengthBytes = availableBytes;
        }
        _partitions.Add(new Partition(number, firstSector * device.SectorBytes, lengthBytes));
        return true;
    }
}
