namespace LoopDaemon.Control;

/// <summary>What became of a request to clear a device.</summary>
/// <param name="Deferred">The device is open, and goes at its last close.</param>
public sealed record ClearReply(bool Deferred);
