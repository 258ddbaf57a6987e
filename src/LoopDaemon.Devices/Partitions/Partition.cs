namespace LoopDaemon.Devices;

/// <summary>A partition of a device.</summary>
/// <param name="Number">From 1 to 255; the partition of <c>loop0</c> with number 3 is <c>loop0p3</c>.</param>
/// <param name="OffsetBytes">Where it begins on the device, in bytes.</param>
/// <param name="LengthBytes">Its length in bytes, at least 512; it ends within the device.</param>
public sealed record Partition(int Number, long OffsetBytes, long LengthBytes);
