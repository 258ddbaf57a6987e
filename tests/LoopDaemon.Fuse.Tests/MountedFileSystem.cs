namespace LoopDaemon.Fuse.Tests;

/// <summary>A real mount of a file system in a temporary directory, unmounted at the end.</summary>
internal sealed class MountedFileSystem : IDisposable
{
    private readonly FuseMount _mount;
    private readonly FuseServer _server;

    internal MountedFileSystem(FuseFileSystem fileSystem, int threads = 2)
    {
        Requirements.SkipUnlessRootWithFuse();
        Path = Directory.CreateTempSubdirectory("loopd-fuse-").FullName;
        _mount = FuseMount.Mount(Path, new FuseMountOptions("hello", AllowOther: true));
        _server = new FuseServer(_mount.Connection, fileSystem, threads, Trouble.Add);
        _server.Start();
        Negotiation = _server.Initialization.WaitAsync(TimeSpan.FromSeconds(10)).GetAwaiter().GetResult();
    }

    internal string Path { get; }

    internal FuseNegotiation Negotiation { get; }

    internal FuseConnection Connection => _mount.Connection;

    internal List<string> Trouble { get; } = [];

    internal Task Completion => _server.Completion;

    internal string File(string name) => System.IO.Path.Combine(Path, name);

    public void Dispose()
    {
        FuseMount.Unmount(Path, detach: true);
        _server.Completion.Wait(TimeSpan.FromSeconds(10));
        _server.Dispose();
        _mount.Dispose();
        Directory.Delete(Path);
    }
}
