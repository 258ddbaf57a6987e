using System.Runtime.InteropServices;

namespace LoopDaemon.CommandLine;

/// <summary>Puts off the signals that end a process until what is half done is done or undone.</summary>
internal sealed class PutOffSignals : IDisposable
{
    /// <summary>The exit code of mount(8) for an interrupt.</summary>
    internal const int ExitCode = 8;

    private readonly PosixSignalRegistration[] _registrations;
    private volatile bool _any;

    internal PutOffSignals() => _registrations =
        [.. new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP }.Select(signal => PosixSignalRegistration.Create(signal, PutOff))];

    /// <summary>Ends what is being done if a signal has come.</summary>
    /// <exception cref="CommandException">One has.</exception>
    internal void ThrowIfAny()
    {
        if (_any)
            throw new CommandException("interrupted: nothing was mounted", ExitCode);
    }

    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in _registrations)
            registration.Dispose();
    }

    private void PutOff(PosixSignalContext signal)
    {
        signal.Cancel = true;
        _any = true;
    }
}
