using LoopDaemon.Benchmark.Processes;

namespace LoopDaemon.Benchmark.Targets;

/// <summary>An image that a running <see cref="Configuration"/> shows. Disposing it takes it down.</summary>
/// <param name="path">The block device, or the file on a FUSE mount.</param>
/// <param name="server">What to take down: the daemon that serves it, or the kernel's loop device.</param>
internal sealed class Exposure(string path, IDisposable server) : IDisposable
{
    internal string Path { get; } = path;

    /// <summary>The processes that serve it; none where the kernel does it alone.</summary>
    internal IReadOnlyList<int> Processes { get; } = (server as DaemonProcess)?.Processes ?? [];

    public void Dispose() => server.Dispose();
}
