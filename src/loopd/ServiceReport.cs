using System.Diagnostics;
using System.Globalization;
using LoopDaemon.Control;
using LoopDaemon.Devices;
using LoopDaemon.Linux;
using Microsoft.Extensions.Logging;

namespace LoopDaemon.Daemon;

/// <summary>Tells the service manager how the daemon is: what it serves, and, where it wants to know, that it is alive.
/// Alive means that a request through the control socket is answered, that all reader threads are there, and that no request
/// of the kernel's waits while one of them idles. (A look at the mount would tell the same, but a thread of the daemon must not
/// wait for the daemon: killed in that moment, it would linger until its successor answers, which waits for it to end.)</summary>
internal sealed partial class ServiceReport(
    ServiceNotification manager, DeviceTable table, LoopService service, string controlSocket, ILogger<ServiceReport> logger) : IDisposable
{
    private static readonly TimeSpan StatusTime = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(20);

    private readonly CancellationTokenSource _ended = new();

    /// <summary>Begins to report. It goes on while the daemon ends, which may take as long as somebody has a device open: to the
    /// manager it serves, and STOPPING=1 would set a time limit.</summary>
    internal void Start()
    {
        _ = ReportStatus(_ended.Token);
        if (WatchdogLimit() is { } limit)
            _ = Ping(limit, _ended.Token);
    }

    public void Dispose()
    {
        _ended.Cancel();
        _ended.Dispose();
    }

    /// <summary>How long the manager waits for a ping (sd_watchdog_enabled(3)); null where it wants none.</summary>
    private static TimeSpan? WatchdogLimit()
    {
        string? process = Environment.GetEnvironmentVariable("WATCHDOG_PID");
        bool isMeant = string.IsNullOrEmpty(process) || process == Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        return isMeant && long.TryParse(Environment.GetEnvironmentVariable("WATCHDOG_USEC"), NumberStyles.None, CultureInfo.InvariantCulture, out long limit) && limit > 0
            ? TimeSpan.FromMicroseconds(limit) : null;
    }

    private string Status()
    {
        int bound = 0, open = 0;
        foreach (LoopDevice device in table.Devices)
        {
            bound += device.Binding is null ? 0 : 1;
            open += device.Openers > 0 ? 1 : 0;
        }
        return $"{bound} of {table.Devices.Count()} devices bound, {open} open";
    }

    private async Task ReportStatus(CancellationToken stopping)
    {
        string last = "";
        while (!stopping.IsCancellationRequested)
        {
            string now = Status();
            if (now != last)
                manager.Send($"STATUS={last = now}");
            await Task.Delay(StatusTime, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task Ping(TimeSpan limit, CancellationToken stopping)
    {
        TimeSpan step = limit / 4;
        while (!stopping.IsCancellationRequested)
        {
            if (await FindFault(step) is { } fault)
                LogFault(logger, fault);
            else
                manager.Send("WATCHDOG=1");
            await Task.Delay(step, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>What keeps the daemon from its work, or null.</summary>
    private async Task<string?> FindFault(TimeSpan patience)
    {
        // On a thread of its own: one that hangs must not take the pool's with it.
        Task control = Task.Factory.StartNew(CallControl, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        var clock = Stopwatch.StartNew();
        bool serves = false;
        while (clock.Elapsed < patience && !(serves && control.IsCompleted))
        {
            serves |= service.ServesWhatWaits;
            await Task.Delay(Step);
        }
        if (!control.IsCompletedSuccessfully && !service.IsEnding)
            return $"the control socket does not answer: {control.Exception?.InnerException?.Message ?? "no answer in time"}";
        if (service.LostReaders is var lost and > 0)
            return $"{lost} reader threads have ended";
        return serves ? null : "requests wait, though reader threads are idle";
    }

    private void CallControl()
    {
        using var client = ControlClient.Connect(controlSocket, TimeSpan.FromSeconds(5));
        _ = client.GetDaemon();
    }

    [LoggerMessage(LogLevel.Error, "not alive, so no word to the watchdog: {Fault}")]
    private static partial void LogFault(ILogger logger, string fault);
}
