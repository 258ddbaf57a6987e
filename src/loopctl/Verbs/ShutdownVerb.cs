using System.Diagnostics;
using System.Globalization;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary><c>loopctl shutdown</c>: ends the daemon, its mount and its devices, and waits until they are gone.</summary>
internal sealed class ShutdownVerb : Verb
{
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan EndTime = TimeSpan.FromSeconds(2);

    private ShutdownMode _mode = ShutdownMode.Refuse;
    private TimeSpan _patience = TimeSpan.FromDays(20);
    private string? _unlessRestarting;

    internal ShutdownVerb() => OwnOptions =
    [
        new OptionGroup("Options",
            new Option("--lazy", "with open devices: take the mount out of sight, and wait until the last one is closed", () => Choose(ShutdownMode.Lazy)),
            new Option("--force", "with open devices: unmount what is mounted from them, and take them away from who still has them open", () => Choose(ShutdownMode.Force)),
            new Option("--timeout", "SECONDS", "fail if the daemon has not ended by then", value => _patience = WaitVerb.ParsePatience(value)),
            new Option("--unless-restarting", "UNIT", "do nothing unless systemd stops that unit for good (for ExecStop=)", value => _unlessRestarting = value)),
    ];

    internal override string Name => "shutdown";

    internal override string Operands => "";

    internal override string Summary => "end the daemon, unless a device is open";

    internal override IReadOnlyList<(string What, string How)> Examples =>
    [
        ("End the daemon as soon as nobody uses a device any more", "loopctl shutdown --lazy"),
    ];

    protected override IReadOnlyList<OptionGroup> OwnOptions { get; }

    protected override int Do(IReadOnlyList<string> operands)
    {
        if (_unlessRestarting is not { } unit)
            return End();
        return IsStopping(unit) ? EndUnlessEnded() : 0;
    }

    /// <summary>One asks to keep what is open, the other to take it away: the last one must not win.</summary>
    private void Choose(ShutdownMode mode)
    {
        if (_mode != ShutdownMode.Refuse && _mode != mode)
            throw new CommandException("mutually exclusive arguments: --lazy --force");
        _mode = mode;
    }

    /// <summary>As long as the service manager's main process is there. A socket unit listens on when it has gone, so that nobody
    /// would ever answer.</summary>
    private int EndUnlessEnded()
    {
        bool isManaged = Environment.GetEnvironmentVariable("INVOCATION_ID") is not null;
        string? process = Environment.GetEnvironmentVariable("MAINPID");
        if (isManaged && !Directory.Exists($"/proc/{process ?? "none"}"))
            return 0;
        using FileDescriptor? main = int.TryParse(process, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? ProcessEnd.Watch(number) : null;
        bool HasEnded(TimeSpan patience) => main is not null && main.WaitReadable(patience) == Errno.None;

        Task<int> end = Task.Run(End);
        while (Task.WaitAny([end], Step) < 0)
        {
            if (HasEnded(TimeSpan.Zero))
                return 0;
        }
        // Its connections end a moment before the process does.
        return end.IsFaulted && HasEnded(EndTime) ? 0 : end.GetAwaiter().GetResult();
    }

    private int End()
    {
        using ControlClient? client = Daemon.ConnectUnlessGone();
        if (client is null)
        {
            Console.Error.WriteLine("loopctl: no daemon runs");
            return 0;
        }
        DaemonStatus daemon = client.GetDaemon();
        using FileDescriptor? end = ProcessEnd.Watch(daemon.Process);
        if (_mode == ShutdownMode.Force)
        {
            // What does not come off now loses its device all the same.
            foreach (KernelLoop.Attached loop in KernelLoop.ListIn(daemon.Mount))
                KernelLoopChain.Detach(loop);
        }
        try
        {
            client.Shutdown(_mode);
        }
        catch (ControlException refused)
        {
            throw new CommandException($"the daemon stays: {refused.Message}");
        }
        var clock = Stopwatch.StartNew();
        while (end is not null && end.WaitReadable(Step) != Errno.None)
        {
            if (clock.Elapsed > _patience)
            {
                throw new CommandException(
                    $"the daemon (process {daemon.Process}) has not ended after {_patience.TotalSeconds.ToString(CultureInfo.InvariantCulture)} seconds: a device is still open");
            }
        }
        return 0;
    }

    /// <summary>Whether systemd stops a unit for good: a restart runs ExecStop= as well, and a daemon that is to be restarted
    /// leaves its mount to the next one.</summary>
    private static bool IsStopping(string unit)
    {
        string[] manager = Credentials.IsRoot ? [] : ["--user"];
        (int exitCode, string jobs) = ExternalProgram.Run("systemctl", [.. manager, "list-jobs", "--no-legend", "--plain", "--full"]);
        // Where there is no telling, the mount is better unmounted than dead.
        return exitCode != 0 || jobs.Split('\n')
            .Select(job => job.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Any(job => job.Length >= 3 && job[1] == unit && job[2] == "stop");
    }
}
