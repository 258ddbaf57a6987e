using System.Runtime.InteropServices;

namespace LoopDaemon.Daemon;

/// <summary>Whether the daemon is to end: a signal says so, or the mount's fate. The host hears signals by itself, but there is
/// a mount to take down before there is a host.</summary>
internal sealed class EndRequest : IDisposable
{
    private readonly CancellationTokenSource _asked = new();
    private readonly PosixSignalRegistration[] _signals;

    internal EndRequest() => _signals =
    [
        PosixSignalRegistration.Create(PosixSignal.SIGINT, Hear),
        PosixSignalRegistration.Create(PosixSignal.SIGTERM, Hear),
        PosixSignalRegistration.Create(PosixSignal.SIGQUIT, Hear),
    ];

    /// <summary>Is cancelled when the daemon is to end.</summary>
    internal CancellationToken Asked => _asked.Token;

    internal void Ask() => _asked.Cancel();

    public void Dispose()
    {
        foreach (PosixSignalRegistration signal in _signals)
            signal.Dispose();
        _asked.Dispose();
    }

    private void Hear(PosixSignalContext signal)
    {
        signal.Cancel = true;
        Ask();
    }
}
