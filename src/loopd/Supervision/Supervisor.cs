using System.Collections;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using LoopDaemon.Daemon.Survival;
using LoopDaemon.Linux;

namespace LoopDaemon.Daemon.Supervision;

/// <summary><c>loopd --supervise</c>: keeps a daemon's mount alive where no service manager does. It starts the daemon as its
/// child, holds for it what it asks to be held, and starts the next one as soon as one has died. It speaks systemd's protocol,
/// so that the daemon knows one way only, and never touches the mount, as it would hang there with everybody else.</summary>
internal sealed class Supervisor : IDisposable
{
    private const int Interrupt = 2, Abort = 6, Kill = 9, Terminate = 15;
    private const int GiveUpAfter = 5;
    private const int WorstCode = 1;
    private const int Killed = 128 + Kill;
    private const int Parked = 75;

    /// <summary>More than a socket's queue holds (net.unix.max_dgram_qlen); whoever floods it must not keep the rest from its turn.</summary>
    private const int MostMessagesAtOnce = 4096;

    private const int LongestName = 255;

    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan AbortTime = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan CheckTime = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan LongestTurn = TimeSpan.FromSeconds(5);

    private readonly IReadOnlyList<string> _arguments;
    private readonly LoopdOptions _options;
    private readonly string? _daemon;
    private readonly SupervisorLog _log = new();
    private readonly NotifySocket _socket = new();
    private readonly HeldDescriptors _held;
    private readonly ServiceNotification? _manager = ServiceNotification.Connect();
    private readonly Queue<PosixSignal> _signals = new();
    private readonly PosixSignalRegistration[] _registrations;
    private ChildProcess? _child;
    private long _lastPing;
    private long? _aborted;
    private bool _wasReady;
    private bool _isTold;
    private bool _isEnding;
    private bool _isUpgradeWanted;
    private ChildProcess? _check;
    private long _checkStart;
    private int _checkedProcess;

    private Supervisor(LoopdOptions options, IReadOnlyList<string> arguments, string? daemon)
    {
        _options = options;
        _arguments = arguments;
        _daemon = daemon;
        Signals.RestoreChildEnd();
        int limit = FileDescriptor.RaiseLimit();
        _held = new HeldDescriptors(Math.Min(HeldDescriptors.Room + 64, limit / 2));
        using var inherited = InheritedDescriptors.Receive();
        foreach (string name in inherited.Names.ToList())
        {
            using FileDescriptor descriptor = inherited.Take(name)!;
            _held.Add(name, descriptor);
        }
        _registrations = [.. new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGQUIT, PosixSignal.SIGHUP }
            .Select(signal => PosixSignalRegistration.Create(signal, Hear))];
        _ = MemoryPressure.SpareProcess(-900);
        if (options.Engine == Engine.Uring)
            _log.Warning("with --engine uring nothing outlives the daemon: it will not be started again");
    }

    /// <summary>Supervises until the daemon has ended as it should, or cannot be kept running.</summary>
    /// <param name="options">What the daemon's command line says.</param>
    /// <param name="arguments">The daemon's command line.</param>
    /// <param name="daemon">The daemon's program; null for this one, as it is when a daemon is started.</param>
    /// <returns>The daemon's exit code.</returns>
    internal static int Run(LoopdOptions options, IReadOnlyList<string> arguments, string? daemon = null)
    {
        using var supervisor = new Supervisor(options, arguments, daemon);
        return supervisor.Supervise();
    }

    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in _registrations)
            registration.Dispose();
        _check?.Dispose();
        _child?.Dispose();
        _log.Dispose();
        _held.Dispose();
        _socket.Dispose();
        _manager?.Dispose();
    }

    private int Supervise()
    {
        int failures = 0;
        while (true)
        {
            int code = TryStart() ? Watch() : WorstCode;
            // Nothing to go on with: the daemon has ended for good, or cannot begin. One that was killed before it had anything to
            // keep has lost nothing, and the next one begins anew.
            bool isKilledAtStart = code == Killed && !_wasReady && !_isEnding;
            if (code == 0 || !(isKilledAtStart || _held.Has(DescriptorStore.Connection)))
                return code;
            // One that was killed did not fail by itself; only its successor waits a little longer.
            failures = _wasReady ? 0 : code == Killed ? Math.Min(failures + 1, GiveUpAfter - 1) : failures + 1;
            if (failures >= GiveUpAfter)
                return GiveUp(code);
            if (!_wasReady)
                _log.Error($"the daemon did not get ready ({Describe(code)}); starting the next one");
            else if (code == Parked)
                _log.Information("the daemon has made way; starting the next one");
            else
                _log.Warning($"the daemon has ended ({Describe(code)}); starting the next one");
            if (failures > 0)
                Thread.Sleep(FirstPause * (1 << (failures - 1)));
        }
    }

    private bool TryStart()
    {
        (_wasReady, _isTold, _isUpgradeWanted, _aborted) = (false, false, false, null);
        Dictionary<string, string> environment = OwnEnvironment();
        environment["NOTIFY_SOCKET"] = _socket.Address;
        environment["FDSTORE"] = HeldDescriptors.Room.ToString(CultureInfo.InvariantCulture);
        environment["WATCHDOG_USEC"] = _options.Watchdog.TotalMicroseconds.ToString("F0", CultureInfo.InvariantCulture);
        environment["LISTEN_FDS"] = _held.All.Count.ToString(CultureInfo.InvariantCulture);
        environment["LISTEN_FDNAMES"] = string.Join(':', _held.All.Select(held => held.Name));
        (string program, string[] first) = Program();
        try
        {
            _child?.Dispose();
            _child = ChildProcess.Start(program, [.. first, .. _arguments], environment, [.. _held.All.Select(held => held.Descriptor)]);
            _lastPing = Stopwatch.GetTimestamp();
            return true;
        }
        catch (LinuxException refused)
        {
            _log.Error(refused.Message);
            return false;
        }
    }

    /// <summary>Without what a service manager has told this process alone.</summary>
    private static Dictionary<string, string> OwnEnvironment()
    {
        var environment = new Dictionary<string, string>();
        foreach (DictionaryEntry variable in Environment.GetEnvironmentVariables())
            environment[(string)variable.Key] = (string?)variable.Value ?? "";
        foreach (string told in (ReadOnlySpan<string>)["NOTIFY_SOCKET", "FDSTORE", "WATCHDOG_USEC", "WATCHDOG_PID"])
            environment.Remove(told);
        return environment;
    }

    /// <summary>By its path, so that the next daemon is of the version that is installed then.</summary>
    private (string Program, string[] First) Program()
    {
        string program = _daemon ?? Environment.ProcessPath!;
        // The link of a running program whose file was replaced (proc(5)).
        const string Deleted = " (deleted)";
        if (program.EndsWith(Deleted, StringComparison.Ordinal))
            program = program[..^Deleted.Length];
        return Path.GetFileNameWithoutExtension(program) == "dotnet" ? (program, [Environment.GetCommandLineArgs()[0]]) : (program, []);
    }

    /// <summary>Serves the daemon until it has ended.</summary>
    /// <returns>Its exit code.</returns>
    private int Watch()
    {
        while (_child!.End.WaitReadable(TimeSpan.Zero) != Errno.None)
        {
            long turn = Stopwatch.GetTimestamp();
            FileDescriptor.WaitForAny(Tick, _socket.Number, _child.End.Number, _check?.End.Number ?? -1);
            // Whatever has stopped this process for so long may have stopped the daemon with it: it gets its time anew.
            if (Stopwatch.GetElapsedTime(turn) > LongestTurn)
                _lastPing = Stopwatch.GetTimestamp();
            TakeMessages();
            HeedSignals();
            HeedCheck();
            HeedWatchdog();
        }
        // What it said last counts, though it is dead.
        TakeMessages();
        return _child.WaitForExit();
    }

    private void TakeMessages()
    {
        for (int i = 0; i < MostMessagesAtOnce && _socket.TryReceive(out Dictionary<string, string> message, out List<FileDescriptor> descriptors, out bool lost); i++)
        {
            string name = NameIn(message);
            if (message.GetValueOrDefault("FDSTORE") == "1")
                Hold(name, descriptors, lost);
            if (message.GetValueOrDefault("FDSTOREREMOVE") == "1")
                _held.Remove(name);
            if (message.GetValueOrDefault("READY") == "1")
                BeReady();
            if (message.TryGetValue("WATCHDOG", out string? sign))
            {
                _lastPing = Stopwatch.GetTimestamp();
                if (sign == "trigger")
                    AbortDaemon("has found itself to hang");
            }
            // BARRIER=1 asks for nothing but that its descriptor, the end of a pipe, be closed when all before it is done.
            descriptors.ForEach(message.ContainsKey("BARRIER") ? descriptor => descriptor.Dispose() : HeldDescriptors.CloseAside);
            if (_manager is not null && (message.ContainsKey("READY") || message.ContainsKey("STATUS")))
                _manager.Send(string.Join('\n', message.Where(pair => pair.Key is "READY" or "STATUS").Select(pair => $"{pair.Key}={pair.Value}")));
        }
    }

    /// <summary>Names go to the next daemon in one variable, with colons between them.</summary>
    private static string NameIn(Dictionary<string, string> message) =>
        message.TryGetValue("FDNAME", out string? name) && name.Length is > 0 and <= LongestName && name.All(letter => letter is > ' ' and <= '~' and not ':')
            ? name : "stored";

    private void Hold(string name, List<FileDescriptor> descriptors, bool lost)
    {
        foreach (FileDescriptor descriptor in descriptors)
            lost |= !_held.Add(name, descriptor);
        if (lost)
            _log.Warning($"there is no room to keep {name}: it would not outlive the daemon");
    }

    private void BeReady()
    {
        _wasReady = true;
        _lastPing = Stopwatch.GetTimestamp();
        // The one before may have died of something else before it could end.
        if (_isEnding && !_isTold)
            TellToEnd();
    }

    private void HeedSignals()
    {
        while (true)
        {
            PosixSignal signal;
            lock (_signals)
            {
                if (!_signals.TryDequeue(out signal))
                    break;
            }
            if (signal == PosixSignal.SIGHUP)
            {
                _isUpgradeWanted = true;
                continue;
            }
            bool isRepeated = _isEnding;
            _isEnding = true;
            _log.Information($"ending process {_child!.Id}");
            // One that is about to take over a mount would die of it, and the mount with what is open would have to wait for the
            // next: it is told when it is ready. Whoever asks twice means it.
            if (_wasReady || isRepeated || !_held.Has(DescriptorStore.Connection))
                TellToEnd();
        }
        if (_isUpgradeWanted && _wasReady && !_isEnding && _check is null)
            CheckUpgrade();
    }

    /// <summary>A second time it means to a daemon that it is to take away what is open.</summary>
    private void TellToEnd()
    {
        _isTold = true;
        _child!.Signal(Interrupt);
    }

    /// <summary>Asks the program that is installed now whether it can go on where the daemon is.</summary>
    private void CheckUpgrade()
    {
        _isUpgradeWanted = false;
        if (!_held.Has(DescriptorStore.Connection))
        {
            _log.Error("the daemon stays: it keeps nothing that another one could go on with");
            return;
        }
        try
        {
            (string program, string[] first) = Program();
            _check = ChildProcess.Start(program, [.. first, .. _arguments, "--check-state"], OwnEnvironment(), []);
            _checkStart = Stopwatch.GetTimestamp();
            _checkedProcess = _child!.Id;
        }
        catch (LinuxException refused)
        {
            _log.Error($"the daemon stays: {refused.Message}");
        }
    }

    /// <summary>Has the daemon make way for the program that is installed now, if that has found that it can go on.</summary>
    private void HeedCheck()
    {
        if (_check is null)
            return;
        if (_check.End.WaitReadable(TimeSpan.Zero) != Errno.None)
        {
            if (Stopwatch.GetElapsedTime(_checkStart) > CheckTime)
                _check.Signal(Kill);
            return;
        }
        int code = _check.WaitForExit();
        _check.Dispose();
        _check = null;
        // The daemon may have died meanwhile, and the next one is of the new program.
        if (_isEnding || _checkedProcess != _child!.Id)
            return;
        string program = Program().Program;
        if (code != 0)
        {
            _log.Error($"the daemon stays: {program} cannot go on where it is ({Describe(code)})");
            return;
        }
        _log.Information($"the daemon makes way for {program} as it is now");
        _child.Signal(Terminate);
    }

    private void HeedWatchdog()
    {
        // .NET takes the first SIGABRT that it does not send itself for its own, and dies of the second. A stopped process hears
        // nothing but SIGKILL.
        if (_aborted is { } since)
            _child!.Signal(Stopwatch.GetElapsedTime(since) > AbortTime ? Kill : Abort);
        else if (_wasReady && !_isEnding && Stopwatch.GetElapsedTime(_lastPing) > _options.Watchdog)
        {
            AbortDaemon($"has given no sign of life for {_options.Watchdog.TotalSeconds:F0} s");
        }
    }

    private void AbortDaemon(string reason)
    {
        if (_aborted is not null)
            return;
        _log.Error($"process {_child!.Id} {reason}: ending it");
        _child.Signal(Abort);
        _aborted = Stopwatch.GetTimestamp();
    }

    private int GiveUp(int code)
    {
        string mountPoint = Remains.MountPointOf(_held) ?? Path.GetFullPath(_options.Mount);
        _log.Error($"the daemon did not get ready {GiveUpAfter} times running ({Describe(code)}): giving up. {Remains.Describe(mountPoint)}");
        return WorstCode;
    }

    private void Hear(PosixSignalContext signal)
    {
        signal.Cancel = true;
        lock (_signals)
            _signals.Enqueue(signal.Signal);
        _socket.Ring();
    }

    private static string Describe(int code) =>
        code > 128 ? $"signal {code - 128}" : $"exit code {code}";
}
