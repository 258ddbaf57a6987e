using System.Globalization;
using System.Runtime.ExceptionServices;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary><c>loopctl wait DEV</c>: returns once a device is cleared, or bound. It first has the daemon tell what happens,
/// and then looks how things stand, so that nothing can happen in between.</summary>
internal sealed class WaitVerb : Verb
{
    private bool _bound;
    private TimeSpan _patience = Timeout.InfiniteTimeSpan;
    private volatile string? _path;

    internal WaitVerb() => OwnOptions =
    [
        new OptionGroup("Options",
            new Option("--cleared", "wait until nothing is bound to the device (default)", () => _bound = false),
            new Option("--bound", "wait until a file is bound to the device", () => _bound = true),
            new Option("--timeout", "SECONDS", "fail if it takes longer than this", value => _patience = ParsePatience(value))),
    ];

    internal override string Name => "wait";

    internal override string Operands => "DEV";

    internal override string Summary => "wait until a device is cleared, or bound";

    internal override IReadOnlyList<(string What, string How)> Examples =>
    [
        ("Copy an image as soon as its last user has closed it", "loopctl wait loop0 && cp --sparse=never disk.img copy.img"),
        ("Use a device that another program binds", "loopctl wait --bound --timeout 10 loop0 && mkfs.ext4 /run/loopd/dev/loop0"),
    ];

    protected override IReadOnlyList<OptionGroup> OwnOptions { get; }

    protected override int Do(IReadOnlyList<string> operands)
    {
        var name = DeviceName.Parse(operands[0]);
        // A stream of events cannot be given up once it is waited for: the end of the process takes it along.
        var waiting = Task.Run(() => Wait(name));
        try
        {
            if (waiting.Wait(_patience))
                return 0;
        }
        catch (AggregateException failed)
        {
            ExceptionDispatchInfo.Throw(failed.InnerException!);
        }
        throw new CommandException($"{_path ?? name.Text}: is {(_bound ? "not" : "still")} bound after {_patience.TotalSeconds.ToString(CultureInfo.InvariantCulture)} seconds");
    }

    private void Wait(DeviceName name)
    {
        try
        {
            using ControlClient? client = Daemon.ConnectUnlessGone(), listener = Daemon.ConnectUnlessGone();
            if (client is not null && listener is not null && WaitForEvent(client, listener, name))
                return;
        }
        catch (ControlException gone) when (gone.Errno == Errno.ECONNRESET)
        {
        }
        // Nothing is bound where there is no daemon, and one that loopctl started ends with its last device.
        if (_bound)
            throw new CommandException("the daemon has ended");
    }

    /// <summary>Waits for the event that makes the device as it is wanted, or finds it so.</summary>
    /// <returns>Whether it is; otherwise the daemon has ended.</returns>
    private bool WaitForEvent(ControlClient client, ControlClient listener, DeviceName name)
    {
        DaemonStatus daemon = client.GetDaemon();
        _path = name.PathAt(daemon);
        if (name.Number >= daemon.Limit)
            throw name.Missing();
        return listener.Monitor().Any(happened =>
            (happened.Device is null || happened.Device == name.Number) && IsBound(client, name.Number) == _bound);
    }

    private static bool IsBound(ControlClient client, int device)
    {
        try
        {
            client.GetStatus(device);
            return true;
        }
        catch (ControlException refused) when (refused.Error is ControlError.NotBound or ControlError.NoSuchDevice)
        {
            return false;
        }
    }

    internal static TimeSpan ParsePatience(string text) =>
        double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double seconds)
            ? TimeSpan.FromMilliseconds(Math.Min(seconds * 1000, int.MaxValue))
            : throw new CommandException($"failed to parse timeout: '{text}': {Errno.EINVAL.Describe()}");
}
