namespace LoopDaemon.Control;

/// <summary>What a daemon is at.</summary>
/// <param name="Mount">The directory of its devices, an absolute path.</param>
/// <param name="MaxLoop">How many devices always exist, numbered from 0.</param>
/// <param name="Limit">Device numbers are below this; devices from <paramref name="MaxLoop"/> on exist on demand.</param>
/// <param name="Process">Its process id.</param>
public sealed record DaemonStatus(string Mount, int MaxLoop, int Limit, int Process);
