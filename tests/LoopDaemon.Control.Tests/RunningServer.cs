using System.Collections.Concurrent;
using System.Diagnostics;

namespace LoopDaemon.Control.Tests;

/// <summary>A server on a socket in a folder of its own.</summary>
internal sealed class RunningServer : IDisposable
{
    internal const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("loopd-control-");

    internal RunningServer(Func<ControlServerOptions, ControlServerOptions>? adjust = null)
    {
        var options = new ControlServerOptions { Version = "1.2.3", Log = (text, cause) => Log.Enqueue($"{text} {cause}") };
        Server = ControlServer.Listen(Path, OwnerOnly, Service, adjust?.Invoke(options) ?? options);
    }

    internal string Path => System.IO.Path.Combine(_folder.FullName, "control");

    internal ControlServer Server { get; }

    internal FakeService Service { get; } = new();

    internal ConcurrentQueue<string> Log { get; } = new();

    internal ControlClient Connect() => ControlClient.Connect(Path, TimeSpan.FromSeconds(20));

    internal RawClient ConnectRaw() => new(Path);

    /// <summary>Waits for what another thread will bring about soon.</summary>
    internal static void Eventually(Func<bool> condition)
    {
        var clock = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(15), "it did not happen in time");
            Thread.Sleep(5);
        }
    }

    public void Dispose()
    {
        Server.Dispose();
        _folder.Delete(recursive: true);
    }
}
