using LoopDaemon.Devices;
using Microsoft.Extensions.Hosting;

namespace LoopDaemon.Daemon;

/// <summary>Ends a daemon that was started for one job: when the last device is cleared and no client is connected
/// but such as only listen.</summary>
internal sealed class IdleExit(DeviceTable table, LoopService service, EventFeed events, IHostApplicationLifetime lifetime) : BackgroundService
{
    private static readonly TimeSpan FirstBindTime = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan QuietTime = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(50);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        TimeSpan patience = FirstBindTime;
        TimeSpan idle = TimeSpan.Zero;
        while (idle < patience)
        {
            await Task.Delay(Step, stoppingToken);
            if (table.AnyBound)
                patience = QuietTime;
            idle = table.AnyBound || service.ControlConnections > events.Listeners ? TimeSpan.Zero : idle + Step;
        }
        lifetime.StopApplication();
    }
}
