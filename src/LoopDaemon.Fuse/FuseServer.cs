using LoopDaemon.Fuse.Wire;
using LoopDaemon.Linux;

namespace LoopDaemon.Fuse;

/// <summary>Serves a mount: reader threads block in read(2) on <c>/dev/fuse</c>, carry each request out on the file system
/// and answer it, one request at a time each. Nothing is allocated, queued or locked on the way.</summary>
public sealed partial class FuseServer : IDisposable
{
    private const int ReplyPage = 4096;
    private const int ReplyBytes = ReplyPage + RequestSlots.MaxDataBytes + 8192;

    private readonly FuseConnection _connection;
    private readonly FuseFileSystem _fileSystem;
    private readonly Action<string> _trouble;
    private readonly RequestSlots _slots;
    private readonly Reader[] _readers;
    private readonly TaskCompletionSource<FuseNegotiation> _initialized = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _running;
    private int _destroyed;

    /// <summary>Makes a server; <see cref="Start"/> sets it going.</summary>
    /// <param name="connection">The mount; it stays the caller's.</param>
    /// <param name="fileSystem">What is mounted.</param>
    /// <param name="threads">How many requests are served at a time.</param>
    /// <param name="trouble">Told, in one sentence, what is odd but not fatal.</param>
    /// <exception cref="LinuxException">There is no memory for the buffers (about 2 MiB a thread).</exception>
    public FuseServer(FuseConnection connection, FuseFileSystem fileSystem, int threads, Action<string>? trouble = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        _connection = connection;
        _fileSystem = fileSystem;
        _trouble = trouble ?? (static _ => { });
        _slots = new RequestSlots(threads);
        _readers = new Reader[threads];
        for (int i = 0; i < threads; i++)
            _readers[i] = new Reader(_slots[i], PageMemory.Allocate(ReplyBytes));
        Errno locked = _slots.LockResult != Errno.None ? _slots.LockResult : _readers[0].Reply.LockResult;
        if (locked != Errno.None)
            _trouble($"the I/O buffers cannot be locked in memory ({locked.Name()}): raise RLIMIT_MEMLOCK to be safe under memory pressure");
    }

    /// <summary>As many threads as measured best: 2 to 4 on two cores; one serialises, eight lose.</summary>
    public static int DefaultThreads => Math.Max(2, Math.Min(4, 2 * Environment.ProcessorCount));

    /// <summary>Ends when the kernel's INIT is answered; fails where kernel and server do not agree.</summary>
    public Task<FuseNegotiation> Initialization => _initialized.Task;

    /// <summary>Ends when the file system is unmounted and all threads have ended.</summary>
    public Task Completion => _ended.Task;

    /// <summary>Starts the reader threads.</summary>
    public void Start()
    {
        _running = _readers.Length;
        for (int i = 0; i < _readers.Length; i++)
        {
            Reader reader = _readers[i];
            new Thread(() => Serve(reader)) { IsBackground = true, Name = $"fuse-{i}" }.Start();
        }
    }

    /// <summary>Frees the buffers. The mount must be gone (<see cref="Completion"/>); otherwise they are left to the end of
    /// the process, since threads still use them.</summary>
    public void Dispose()
    {
        if (Volatile.Read(ref _running) > 0)
            return;
        foreach (Reader reader in _readers)
            reader.Reply.Dispose();
        _slots.Dispose();
    }

    private void Serve(Reader reader)
    {
        try
        {
            while (ServeOne(reader))
            {
            }
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            _trouble($"a FUSE thread ended: {failure.Message}");
        }
        if (Interlocked.Decrement(ref _running) > 0)
            return;
        if (Interlocked.Exchange(ref _destroyed, 1) == 0)
            _fileSystem.Destroyed();
        _initialized.TrySetException(new LinuxException(Errno.ENOTCONN, "the FUSE mount ended before it began"));
        _ended.TrySetResult();
    }

    /// <summary>Reads, carries out and answers one request.</summary>
    /// <returns>False when the mount is gone.</returns>
    private bool ServeOne(Reader reader)
    {
        RequestSlots.Slot slot = reader.Slot;
        slot.Clear(_connection.Device.Number);
        Errno error = _connection.Device.Read(slot.Request, out int length);
        switch (error)
        {
            case Errno.None:
                break;
            case Errno.EINTR or Errno.EAGAIN or Errno.ENOENT:
                // ENOENT: the request was interrupted before it could be read.
                return true;
            case Errno.ENODEV:
                return false;
            default:
                _trouble($"reading from /dev/fuse failed: {error.Describe()}");
                return false;
        }
        slot.MarkRead();
        Execute(reader, slot.Request[..length]);
        slot.MarkAnswered();
        return true;
    }

    /// <summary>One thread's memory: where requests come in, and where replies and encoded data are built.</summary>
    private sealed class Reader(RequestSlots.Slot slot, PageMemory reply)
    {
        internal RequestSlots.Slot Slot { get; } = slot;

        internal PageMemory Reply { get; } = reply;

        /// <summary>Page-aligned: a reply's data, or, before a reply without data, a file system's own use.</summary>
        internal Span<byte> Data => Reply.Span(ReplyPage, ReplyBytes - ReplyPage);

        /// <summary>A reply's header and the first bytes of its data.</summary>
        internal Span<byte> Whole(int dataLength) => Reply.Span(ReplyPage - OutHeader.Size, OutHeader.Size + dataLength);
    }
}
