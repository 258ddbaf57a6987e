using Microsoft.Extensions.Hosting;

namespace LoopDaemon.Daemon;

/// <summary>A host's lifetime that hears no signals: <see cref="EndRequest"/> does, from before there is a host.</summary>
internal sealed class SilentLifetime : IHostLifetime
{
    public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
