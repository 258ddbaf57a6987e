using System.Runtime.InteropServices;

namespace LoopDaemon.Daemon;

/// <summary>How the daemon is to end.</summary>
internal enum EndKind
{
    /// <summary>Unmount; what is still open is served to its last close.</summary>
    Finish,
    /// <summary>Unmount; what is still open is taken away.</summary>
    Abandon,
    /// <summary>Stop where the work is, for the next daemon to go on with the mount.</summary>
    Park,
}

/// <summary>Whether the daemon is to end, and how: a signal says so, or the mount's fate. There is a mount to take down before
/// there is a host, so it is not the host that hears signals.</summary>
internal sealed class EndRequest : IDisposable
{
    private readonly CancellationTokenSource _asked = new();
    private readonly PosixSignalRegistration[] _signals;
    private readonly bool _canPark;

    /// <param name="canPark">Whether another daemon can go on with the mount: SIGTERM, which a service manager sends before it
    /// starts the next one, then means to leave it.</param>
    internal EndRequest(bool canPark)
    {
        _canPark = canPark;
        _signals = [.. new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGQUIT, PosixSignal.SIGHUP }
            .Select(signal => PosixSignalRegistration.Create(signal, Hear))];
    }

    /// <summary>Is cancelled when the daemon is to end.</summary>
    internal CancellationToken Asked => _asked.Token;

    /// <summary>How it is to end; what was asked for first counts.</summary>
    internal EndKind Kind { get; private set; }

    internal void Ask(EndKind kind = EndKind.Finish)
    {
        if (_asked.IsCancellationRequested)
            return;
        Kind = kind;
        _asked.Cancel();
    }

    public void Dispose()
    {
        foreach (PosixSignalRegistration signal in _signals)
            signal.Dispose();
        _asked.Dispose();
    }

    private void Hear(PosixSignalContext signal)
    {
        signal.Cancel = true;
        Ask(_canPark && signal.Signal == PosixSignal.SIGTERM ? EndKind.Park : EndKind.Finish);
    }
}
