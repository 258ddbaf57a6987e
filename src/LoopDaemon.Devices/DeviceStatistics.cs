namespace LoopDaemon.Devices;

/// <summary>What a device has done since it was bound.</summary>
/// <param name="Reads">Count of reads.</param>
/// <param name="Writes">Count of writes.</param>
/// <param name="BytesRead">Bytes that reads brought.</param>
/// <param name="BytesWritten">Bytes that writes took.</param>
/// <param name="Errors">Count of requests that failed in the backing file.</param>
public readonly record struct DeviceStatistics(long Reads, long Writes, long BytesRead, long BytesWritten, long Errors);
