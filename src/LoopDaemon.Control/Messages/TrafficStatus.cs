namespace LoopDaemon.Control;

/// <summary>What a device has done since it was bound, its partitions included.</summary>
/// <param name="Reads">Count of reads.</param>
/// <param name="Writes">Count of writes.</param>
/// <param name="BytesRead">Bytes that reads brought.</param>
/// <param name="BytesWritten">Bytes that writes took.</param>
/// <param name="Errors">Count of requests that failed.</param>
public sealed record TrafficStatus(long Reads, long Writes, long BytesRead, long BytesWritten, long Errors);
