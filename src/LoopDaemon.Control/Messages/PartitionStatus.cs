namespace LoopDaemon.Control;

/// <summary>A partition of a bound device.</summary>
/// <param name="Number">Its number, from 1.</param>
/// <param name="Path">The path of its block file.</param>
/// <param name="Offset">Where it begins on the device, in bytes.</param>
/// <param name="Size">Its size in bytes.</param>
/// <param name="Openers">How often it is open.</param>
public sealed record PartitionStatus(int Number, string Path, long Offset, long Size, int Openers);
