namespace LoopDaemon.Fuse;

/// <summary>What became of the requests that another server of the same mount had left.</summary>
/// <param name="Answered">So many had no answer and have one now.</param>
/// <param name="Dropped">So many had been answered, or wanted no answer.</param>
public sealed record RecoveredRequests(int Answered, int Dropped);
