namespace LoopDaemon.Devices;

/// <summary>What a partition table says.</summary>
/// <param name="Scheme">The table's kind, also where it is damaged and so shows no partitions.</param>
/// <param name="Partitions">The partitions in the order of their numbers, which may have gaps; they may overlap.</param>
/// <param name="Warnings">What the user should know of the table, a sentence each.</param>
public sealed record PartitionScan(
    PartitionScheme Scheme, IReadOnlyList<Partition> Partitions, IReadOnlyList<string> Warnings);
