using System.Collections;
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

    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan AbortTime = TimeSpan.FromSeconds(5);

    private readonly IReadOnlyList<string> _arguments;
    private readonly TimeSpan _watchdog;
    private readonly NotifySocket _socket = new();
    private readonly HeldDescriptors _held;
    private readonly ServiceNotification? _manager = ServiceNotification.Connect();
    private readonly InheritedDescriptors _inherited = InheritedDescriptors.Receive();
    private readonly List<string> _handedOver;
    private readonly Queue<PosixSignal> _signals = new();
    private readonly PosixSignalRegistration[] _registrations;
    private ChildProcess? _child;
    private DateTime _lastPing;
    private bool _isAborted;
    private bool _wasReady;
    private bool _isEnding;

    private Supervisor(IReadOnlyList<string> arguments, TimeSpan watchdog)
    {
        _arguments = arguments;
        _watchdog = watchdog;
        int limit = FileDescriptor.RaiseLimit();
        _held = new HeldDescriptors(Math.Min(HeldDescriptors.Room + 64, limit / 2));
        _handedOver = [.. _inherited.Names];
        foreach (string name in _handedOver)
        {
            using FileDescriptor descriptor = _inherited.Take(name)!;
            _held.Add(name, descriptor);
        }
        _registrations = [.. new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGQUIT, PosixSignal.SIGHUP }
            .Select(signal => PosixSignalRegistration.Create(signal, Hear))];
        _ = MemoryPressure.SpareProcess(-900);
    }

    /// <summary>Supervises until the daemon has ended as it should, or cannot be kept running.</summary>
    /// <param name="arguments">The daemon's command line.</param>
    /// <param name="watchdog">How long a daemon may give no sign of life.</param>
    /// <returns>The daemon's exit code.</returns>
    internal static int Run(IReadOnlyList<string> arguments, TimeSpan watchdog)
    {
        using var supervisor = new Supervisor(arguments, watchdog);
        return supervisor.Supervise();
    }

    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in _registrations)
            registration.Dispose();
        _child?.Dispose();
        _held.Dispose();
        _inherited.Dispose();
        _socket.Dispose();
        _manager?.Dispose();
    }

    private int Supervise()
    {
        int failures = 0;
        while (true)
        {
            _wasReady = false;
            int code;
            try
            {
                Start();
                code = Watch();
            }
            catch (LinuxException refused)
            {
                Log("ERR", refused.Message);
                code = WorstCode;
            }
            // Nothing to go on with: the daemon has ended for good, or has never begun.
            if (code == 0 || !_held.Has(DescriptorStore.Connection))
                return code;
            // One that was killed did not fail by itself; only its successor waits a little longer.
            failures = _wasReady ? 0 : code == Killed ? Math.Min(failures + 1, GiveUpAfter - 1) : failures + 1;
            if (failures >= GiveUpAfter)
                return GiveUp(code);
            Log(_wasReady ? "WRN" : "ERR", $"the daemon has ended ({Describe(code)}); starting the next one");
            if (failures > 0)
                Thread.Sleep(FirstPause * (1 << (failures - 1)));
        }
    }

    private void Start()
    {
        var environment = new Dictionary<string, string>();
        foreach (DictionaryEntry variable in Environment.GetEnvironmentVariables())
            environment[(string)variable.Key] = (string?)variable.Value ?? "";
        environment.Remove("WATCHDOG_PID");
        environment["NOTIFY_SOCKET"] = _socket.Address;
        environment["FDSTORE"] = HeldDescriptors.Room.ToString(CultureInfo.InvariantCulture);
        environment["WATCHDOG_USEC"] = _watchdog.TotalMicroseconds.ToString("F0", CultureInfo.InvariantCulture);
        environment["LISTEN_FDS"] = _held.All.Count.ToString(CultureInfo.InvariantCulture);
        environment["LISTEN_FDNAMES"] = string.Join(':', _held.All.Select(held => held.Name));
        (string program, string[] first) = Program();
        _child?.Dispose();
        _child = ChildProcess.Start(program, [.. first, .. _arguments], environment, [.. _held.All.Select(held => held.Descriptor)]);
        _lastPing = DateTime.UtcNow;
        _isAborted = false;
    }

    /// <summary>By its path, so that the next daemon is of the version that is installed then.</summary>
    private static (string Program, string[] First) Program()
    {
        string program = Environment.ProcessPath!;
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
            FileDescriptor.WaitForAny(_socket.Number, _child.End.Number, Tick);
            TakeMessages();
            HeedSignals();
            HeedWatchdog();
        }
        // What it said last counts, though it is dead.
        TakeMessages();
        return _child.WaitForExit();
    }

    private void TakeMessages()
    {
        while (_socket.TryReceive(out Dictionary<string, string> message, out List<FileDescriptor> descriptors))
        {
            string name = message.GetValueOrDefault("FDNAME", "stored");
            if (message.ContainsKey("FDSTORE"))
            {
                foreach (FileDescriptor descriptor in descriptors)
                {
                    if (!_held.Add(name, descriptor))
                        Log("WRN", $"there is no room to keep {name}: it would not outlive the daemon");
                }
            }
            if (message.ContainsKey("FDSTOREREMOVE"))
                _held.Remove(name);
            if (message.GetValueOrDefault("READY") == "1")
            {
                _wasReady = true;
                // The one before may have died of something else before it could end.
                if (_isEnding)
                    _child!.Signal(Interrupt);
            }
            if (message.TryGetValue("WATCHDOG", out string? sign))
                _lastPing = sign == "trigger" ? DateTime.MinValue : DateTime.UtcNow;
            // BARRIER=1 asks for nothing but that its descriptor be closed when all before it is done.
            descriptors.ForEach(descriptor => descriptor.Dispose());
            if (_manager is not null && (message.ContainsKey("READY") || message.ContainsKey("STATUS")))
                _manager.Send(string.Join('\n', message.Where(pair => pair.Key is "READY" or "STATUS").Select(pair => $"{pair.Key}={pair.Value}")));
        }
    }

    private void HeedSignals()
    {
        while (true)
        {
            PosixSignal signal;
            lock (_signals)
            {
                if (!_signals.TryDequeue(out signal))
                    return;
            }
            if (signal == PosixSignal.SIGHUP)
            {
                Upgrade();
            }
            else
            {
                Log("INF", $"ending process {_child!.Id}");
                _isEnding = true;
                _child.Signal(Interrupt);
            }
        }
    }

    /// <summary>Has the daemon make way for the program that is installed now, if that can go on where the daemon is.</summary>
    private void Upgrade()
    {
        (string program, string[] first) = Program();
        var environment = new Dictionary<string, string> { ["PATH"] = Environment.GetEnvironmentVariable("PATH") ?? "" };
        using ChildProcess check = ChildProcess.Start(program, [.. first, .. _arguments, "--check-state"], environment, []);
        if (check.WaitForExit() != 0)
        {
            Log("ERR", $"the daemon stays: {program} cannot go on where it is");
            return;
        }
        Log("INF", $"the daemon makes way for {program} as it is now");
        _child!.Signal(Terminate);
    }

    private void HeedWatchdog()
    {
        TimeSpan silence = DateTime.UtcNow - _lastPing;
        if (!_wasReady || _isEnding || silence < _watchdog)
            return;
        if (!_isAborted)
            Log("ERR", $"process {_child!.Id} has given no sign of life for {_watchdog.TotalSeconds:F0} s: ending it");
        _child!.Signal(_isAborted && silence > _watchdog + AbortTime ? Kill : Abort);
        // A stopped process hears nothing but SIGKILL.
        _isAborted = true;
    }

    private static int GiveUp(int code)
    {
        Log("ERR", $"the daemon could not be started {GiveUpAfter} times running ({Describe(code)}): giving up");
        string mounts = string.Join(", ", MountTable.Read().Where(mount => mount.Type == "fuse.loopd").Select(mount => mount.MountPoint));
        string[] loops = [.. KernelLoop.List().Where(loop => MountTable.Read().Any(mount => mount.Type == "fuse.loopd" && loop.BackingFile.StartsWith(mount.MountPoint + "/", StringComparison.Ordinal)))
            .Select(loop => loop.Path)];
        Log("ERR", $"what is left: {(mounts.Length > 0 ? $"mounts of loopd on {mounts}" : "no mount")}{(loops.Length > 0 ? $", kernel loop devices {string.Join(", ", loops)}" : "")}; "
            + "a dead one answers with \"Transport endpoint is not connected\": unmount what is on it, then loopctl doctor --fix");
        return WorstCode;
    }

    private void Hear(PosixSignalContext signal)
    {
        signal.Cancel = true;
        lock (_signals)
            _signals.Enqueue(signal.Signal);
    }

    private static string Describe(int code) =>
        code > 128 ? $"signal {code - 128}" : $"exit code {code}";

    /// <summary>As the daemon's own lines are.</summary>
    private static void Log(string level, string sentence) =>
        Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{DateTime.Now:yyyy-MM-dd HH:mm:ss.fff} {level} supervisor: {sentence}"));
}
