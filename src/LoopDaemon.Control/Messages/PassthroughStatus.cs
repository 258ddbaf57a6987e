namespace LoopDaemon.Control;

/// <summary>Whether the kernel reads and writes a device's backing file itself (FUSE passthrough).</summary>
/// <param name="Active">Whether it does so now.</param>
/// <param name="BytesPastEnd">How many bytes the backing file has behind the device's end. The kernel heeds no end where it
/// writes by itself.</param>
/// <param name="Obstacle">What keeps it from doing so when the device is opened next: a sentence whose subject is the device;
/// null where nothing does.</param>
public sealed record PassthroughStatus(bool Active, long BytesPastEnd, string? Obstacle = null);
