namespace LoopDaemon.Fuse.Tests;

/// <summary>Which engine serves a test's mount.</summary>
public enum Engine
{
    Threads,
    Uring,
}

/// <summary>A real mount of a file system in a temporary directory, unmounted at the end.</summary>
internal sealed class MountedFileSystem : IDisposable
{
    private readonly FuseMount _mount;
    private readonly FuseServer _server;

    internal MountedFileSystem(FuseFileSystem fileSystem, Engine engine = Engine.Threads, int threads = 2)
        : this((connection, trouble) => engine == Engine.Uring
            ? FuseServer.OverIoUring(connection, fileSystem, trouble) : new FuseServer(connection, fileSystem, threads, trouble))
    {
    }

    internal MountedFileSystem(Func<FuseConnection, Action<string>, FuseServer> serve)
    {
        Requirements.SkipUnlessRootWithFuse();
        Path = Directory.CreateTempSubdirectory("loopd-fuse-").FullName;
        _mount = FuseMount.Mount(Path, new FuseMountOptions("hello", AllowOther: true));
        _server = serve(_mount.Connection, Trouble.Add);
        _server.Start();
        try
        {
            Negotiation = _server.Initialization.WaitAsync(TimeSpan.FromSeconds(10)).GetAwaiter().GetResult();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    internal string Path { get; }

    internal FuseNegotiation Negotiation { get; }

    /// <summary>The file system's device number, which is also the connection's.</summary>
    internal uint Device => _mount.Device.Minor;

    internal FuseConnection Connection => _mount.Connection;

    internal List<string> Trouble { get; } = [];

    internal Task Completion => _server.Completion;

    internal string File(string name) => System.IO.Path.Combine(Path, name);

    internal void Unmount() => FuseMount.Unmount(Path, detach: true);

    public void Dispose()
    {
        Unmount();
        bool ended = _server.Completion.Wait(TimeSpan.FromSeconds(10));
        _server.Dispose();
        _mount.Dispose();
        Directory.Delete(Path);
        Assert.True(ended, "the server did not end with its mount");
    }
}
