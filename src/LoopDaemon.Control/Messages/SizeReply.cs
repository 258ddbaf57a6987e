namespace LoopDaemon.Control;

/// <summary>A device as it is after a change of its size or its partitions.</summary>
/// <param name="Size">Its size in bytes.</param>
/// <param name="Partitions">Its partitions by number.</param>
/// <param name="Warnings">Sentences for the user, such as that the partition table is damaged.</param>
public sealed record SizeReply(long Size, IReadOnlyList<PartitionStatus> Partitions, IReadOnlyList<string> Warnings);
