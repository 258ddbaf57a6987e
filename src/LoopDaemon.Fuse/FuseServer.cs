using LoopDaemon.Fuse.Engines;
using LoopDaemon.Linux;

namespace LoopDaemon.Fuse;

/// <summary>Serves a mount: an engine brings the kernel's requests, the session carries them out on the file system.</summary>
public sealed class FuseServer : IDisposable
{
    private readonly FuseEngine _engine;

    /// <summary>Makes a server whose threads block in read(2) on <c>/dev/fuse</c>; <see cref="Start"/> sets it going.</summary>
    /// <param name="connection">The mount; it stays the caller's.</param>
    /// <param name="fileSystem">What is mounted.</param>
    /// <param name="threads">How many requests are served at a time.</param>
    /// <param name="trouble">Told, in one sentence, what is odd but not fatal.</param>
    /// <exception cref="LinuxException">There is no memory for the buffers (about 2 MiB a thread).</exception>
    public FuseServer(FuseConnection connection, FuseFileSystem fileSystem, int threads, Action<string>? trouble = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        trouble ??= static _ => { };
        _engine = new ThreadEngine(connection, new FuseSession(connection, fileSystem, trouble), threads, trouble);
    }

    /// <summary>As many threads as measured best: 2 to 4 on two cores; one serialises, eight lose.</summary>
    public static int DefaultThreads => Math.Max(2, Math.Min(4, 2 * Environment.ProcessorCount));

    /// <summary>Ends when the kernel's INIT is answered and requests are served; fails where kernel and server do not agree.</summary>
    public Task<FuseNegotiation> Initialization => _engine.Ready;

    /// <summary>Ends when the file system is unmounted and all threads have ended.</summary>
    public Task Completion => _engine.Ended;

    /// <summary>Starts the threads.</summary>
    public void Start() => _engine.Start();

    /// <summary>Frees the buffers. The mount must be gone (<see cref="Completion"/>); otherwise they are left to the end of
    /// the process, since threads still use them.</summary>
    public void Dispose() => _engine.Dispose();
}
