using LoopDaemon.Fuse.Engines;
using LoopDaemon.Fuse.Wire;
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
        _engine = new ThreadEngine(connection, new FuseSession(connection, fileSystem, trouble), new RequestSlots(threads), threads, trouble);
    }

    private FuseServer(FuseEngine engine) => _engine = engine;

    /// <summary>The memory file that requests are in until they are answered. Whoever holds it and the connection can
    /// <see cref="Resume"/> after this process has died. Null over io_uring.</summary>
    public FileDescriptor? Slots => (_engine as ThreadEngine)?.Slots.File;

    /// <summary>How many threads run, and how many of them are in the middle of a request.</summary>
    public (int Running, int Busy) Threads => _engine.Threads;

    /// <summary>Goes on with the mount of a server that has died or was parked: answers the requests that it left, then serves.
    /// The other process must have ended, to its last thread. A request may be carried out a second time, unless it was
    /// answered; so may an open or a release, which carry the same <see cref="FuseRequest.Unique"/> and
    /// <see cref="FuseRequest.Slot"/> then.</summary>
    /// <param name="connection">The mount; it stays the caller's.</param>
    /// <param name="fileSystem">What is mounted.</param>
    /// <param name="threads">How many requests are served at a time.</param>
    /// <param name="slots">The other server's <see cref="Slots"/>, which are this one's from now on.</param>
    /// <param name="negotiation">What INIT settled; null where it has not been answered.</param>
    /// <param name="resend">Ask the kernel as well to send again what is unanswered (Linux 6.9), as a net.</param>
    /// <param name="recovered">What became of the requests that were left.</param>
    /// <param name="trouble">Told, in one sentence, what is odd but not fatal.</param>
    /// <exception cref="LinuxException">There is no memory for the buffers.</exception>
    public static FuseServer Resume(
        FuseConnection connection, FuseFileSystem fileSystem, int threads, FileDescriptor slots, FuseNegotiation? negotiation,
        bool resend, out RecoveredRequests recovered, Action<string>? trouble = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        trouble ??= static _ => { };
        var session = new FuseSession(connection, fileSystem, trouble) { Negotiation = negotiation };
        var engine = new ThreadEngine(connection, session, new RequestSlots(slots, threads), threads, trouble);
        recovered = engine.Resume(resend);
        return new FuseServer(engine);
    }

    /// <summary>Makes a server over io_uring, with two rings and threads for each processor. It answers more small requests
    /// than threads do when many are under way, and is not crash-safe: a request that was in a ring when this process died
    /// is lost. Methods of the file system must not wait for another request: it may come to the same thread.</summary>
    /// <param name="connection">The mount; it stays the caller's.</param>
    /// <param name="fileSystem">What is mounted.</param>
    /// <param name="trouble">Told, in one sentence, what is odd but not fatal.</param>
    /// <exception cref="LinuxException">There is no memory for the buffers (18 MiB for each processor).</exception>
    public static FuseServer OverIoUring(FuseConnection connection, FuseFileSystem fileSystem, Action<string>? trouble = null) =>
        OverIoUring(connection, fileSystem, Processors.Possible.Count, Processors.Online, trouble);

    internal static FuseServer OverIoUring(
        FuseConnection connection, FuseFileSystem fileSystem, int processors, IReadOnlyList<int> online, Action<string>? trouble)
    {
        trouble ??= static _ => { };
        var session = new FuseSession(connection, fileSystem, trouble) { EngineFlags = InitFlags.OverIoUring };
        return new FuseServer(new UringEngine(connection, session, trouble, processors, online));
    }

    /// <summary>Finds out, before anything is mounted, whether <see cref="OverIoUring(FuseConnection, FuseFileSystem, Action{string})"/>
    /// can be had.</summary>
    /// <exception cref="LinuxException">It cannot: why, and what to do about it.</exception>
    public static void RequireIoUring() => UringEngine.Require();

    /// <summary>As many threads as measured best where the data is in memory: 4 to 8 are alike on two processors, 16 lose at
    /// long writes; any number does on one. On a disk each more is a request more under way.</summary>
    public static int DefaultThreads => Math.Clamp(3 * Environment.ProcessorCount, 3, 8);

    /// <summary>Ends when the kernel's INIT is answered and requests are served; fails where kernel and server do not agree.</summary>
    public Task<FuseNegotiation> Initialization => _engine.Ready;

    /// <summary>Ends when the file system is unmounted and all threads have ended.</summary>
    public Task Completion => _engine.Ended;

    /// <summary>Starts the threads.</summary>
    public void Start() => _engine.Start();

    /// <summary>Ends all threads without taking a further request; ends when all that was taken is answered. The mount stays and
    /// waits for another server. Not over io_uring.</summary>
    public Task ParkAsync() => _engine.ParkAsync();

    /// <summary>Frees the buffers. The mount must be gone (<see cref="Completion"/>); otherwise they are left to the end of
    /// the process, since threads still use them.</summary>
    public void Dispose() => _engine.Dispose();
}
