using LoopDaemon.Linux;

namespace LoopDaemon.Fuse.Engines;

/// <summary>How requests come from the kernel and how answers go back: threads that take requests, have the session
/// carry them out, and answer them. The base class knows when the engine is ready and when its last thread has ended.</summary>
internal abstract class FuseEngine(FuseConnection connection, FuseSession session, Action<string> trouble) : IDisposable
{
    private readonly TaskCompletionSource<FuseNegotiation> _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _parked = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly HashSet<int> _threads = [];
    private int _running;
    private volatile bool _parking;
    private volatile bool _unmounted;

    /// <summary>Whether the threads are to end, each when it has answered what it has.</summary>
    internal bool IsParking => _parking;

    /// <summary>Ends when requests are served; fails where they never will be.</summary>
    internal Task<FuseNegotiation> Ready => _ready.Task;

    /// <summary>Ends when the file system is unmounted and all threads have ended.</summary>
    internal Task Ended => _ended.Task;

    /// <summary>The mount.</summary>
    internal FuseConnection Connection => connection;

    /// <summary>What carries requests out.</summary>
    internal FuseSession Session => session;

    /// <summary>Tells what is odd but not fatal.</summary>
    internal Action<string> Trouble => trouble;

    /// <summary>Sets the engine going.</summary>
    internal abstract void Start();

    /// <summary>The mount is gone. Called by a thread that found out.</summary>
    internal void OnUnmounted() => _unmounted = true;

    /// <summary>Has all threads end without taking a further request; ends when they have, and all that was taken is answered.
    /// The mount stays, for another server.</summary>
    internal async Task ParkAsync()
    {
        _parking = true;
        // One that was about to read when the signal came would not hear it: so again, until each has.
        while (!_parked.Task.IsCompleted && !_ended.Task.IsCompleted)
        {
            lock (_threads)
            {
                foreach (int thread in _threads)
                    ThreadInterrupt.Send(thread);
            }
            await Task.WhenAny(_parked.Task, _ended.Task, Task.Delay(1)).ConfigureAwait(false);
        }
    }

    /// <summary>An INIT has been answered. Called by the thread that has answered it, between two requests.</summary>
    /// <param name="error">The answer.</param>
    internal void AfterInit(Errno error)
    {
        if (error == Errno.EPROTO)
        {
            Refuse(LinuxException.WithMessage(error,
                $"this kernel's FUSE protocol is older than 7.{FuseNegotiation.OldestMinor} (Linux 5.4)"));
        }
        else if (error == Errno.None && session.Negotiation is { } negotiation)
        {
            Begin(negotiation);
        }
    }

    /// <summary>How many threads there are, and how many of them are in the middle of a request; those that have ended by a
    /// failure are among neither.</summary>
    internal virtual (int Running, int Busy) Threads => (Volatile.Read(ref _running), 0);

    /// <summary>Frees the buffers, unless threads still use them: then they are left to the end of the process.</summary>
    public void Dispose()
    {
        if (Volatile.Read(ref _running) == 0)
            Free();
    }

    /// <summary>Kernel and server agree.</summary>
    protected virtual void Begin(FuseNegotiation negotiation) => Accept(negotiation);

    /// <summary>Requests are served from now on.</summary>
    protected void Accept(FuseNegotiation negotiation) => _ready.TrySetResult(negotiation);

    /// <summary>Requests cannot be served.</summary>
    /// <returns>False where they were already.</returns>
    protected bool Refuse(Exception failure) => _ready.TrySetException(failure);

    /// <summary>Frees the buffers; no thread uses them any more.</summary>
    protected abstract void Free();

    /// <summary>Starts threads that serve until the mount is gone.</summary>
    /// <param name="name">Their name, to which a number is added.</param>
    /// <param name="serve">What each one does.</param>
    protected void StartThreads(string name, IReadOnlyList<Action> serve)
    {
        Interlocked.Add(ref _running, serve.Count);
        for (int i = 0; i < serve.Count; i++)
        {
            Action one = serve[i];
            new Thread(() => Run(one)) { IsBackground = true, Name = $"{name}-{i}" }.Start();
        }
    }

    /// <summary>Says so where buffers could not be locked in memory.</summary>
    protected void WarnUnlessLocked(Errno locked)
    {
        if (locked != Errno.None)
            trouble($"the I/O buffers cannot be locked in memory ({locked.Name()}): raise RLIMIT_MEMLOCK to be safe under memory pressure");
    }

    private void Run(Action serve)
    {
        int thread = ThreadInterrupt.Enter();
        lock (_threads)
            _threads.Add(thread);
        try
        {
            serve();
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            if (!Refuse(failure))
                trouble($"a FUSE thread ended: {failure.Message}");
        }
        lock (_threads)
            _threads.Remove(thread);
        if (Interlocked.Decrement(ref _running) > 0)
            return;
        if (_parking && !_unmounted)
        {
            _parked.TrySetResult();
            return;
        }
        session.Destroy();
        Refuse(new LinuxException(Errno.ENOTCONN, "the FUSE mount ended before it began"));
        _ended.TrySetResult();
    }
}
