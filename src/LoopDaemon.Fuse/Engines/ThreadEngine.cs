using LoopDaemon.Linux;

namespace LoopDaemon.Fuse.Engines;

/// <summary>The default engine: reader threads that block in read(2) on <c>/dev/fuse</c>, each with one request at a time.
/// Nothing is allocated, queued or locked on the way, and a thread that waits for a disk waits alone. Requests survive
/// this process in their slots.</summary>
internal sealed class ThreadEngine : FuseEngine
{
    private readonly RequestSlots _slots;
    private readonly DeviceReader[] _readers;

    internal ThreadEngine(FuseConnection connection, FuseSession session, int threads, Action<string> trouble)
        : base(connection, session, trouble)
    {
        _slots = new RequestSlots(threads);
        _readers = new DeviceReader[threads];
        for (int i = 0; i < threads; i++)
            _readers[i] = new DeviceReader(this, _slots[i]);
        WarnUnlessLocked(_slots.LockResult != Errno.None ? _slots.LockResult : _readers[0].LockResult);
    }

    internal override void Start() => StartThreads("fuse", [.. _readers.Select(reader => (Action)reader.Serve)]);

    protected override void Free()
    {
        foreach (DeviceReader reader in _readers)
            reader.Dispose();
        _slots.Dispose();
    }
}
