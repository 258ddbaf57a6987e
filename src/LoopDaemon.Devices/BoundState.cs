namespace LoopDaemon.Devices;

/// <summary>What a binding has become since its bind, beyond the values of the request: with them, it can be made again in
/// another process.</summary>
/// <param name="BackingPath">The backing file's path when it was handed over.</param>
/// <param name="BackingBytes">The backing file's length as the device knows it; the file may have another one by now.</param>
/// <param name="BoundAtNs">When it was bound, in nanoseconds since 1970.</param>
/// <param name="Partitions">The partitions that are shown.</param>
/// <param name="Statistics">The counts since the bind.</param>
public sealed record BoundState(
    string BackingPath, long BackingBytes, long BoundAtNs, IReadOnlyList<Partition> Partitions, DeviceStatistics Statistics);
