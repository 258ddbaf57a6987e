using LoopDaemon.Linux;

namespace LoopDaemon.Fuse.Engines;

/// <summary>The default engine: reader threads that block in read(2) on <c>/dev/fuse</c>, each with one request at a time.
/// Nothing is allocated, queued or locked on the way, and a thread that waits for a disk waits alone. Requests survive
/// this process in their slots.</summary>
internal sealed class ThreadEngine : FuseEngine
{
    private readonly FuseSession _session;
    private readonly DeviceReader[] _readers;

    internal ThreadEngine(FuseConnection connection, FuseSession session, RequestSlots slots, int threads, Action<string> trouble)
        : base(connection, session, trouble)
    {
        _session = session;
        Slots = slots;
        _readers = new DeviceReader[threads];
        for (int i = 0; i < threads; i++)
            _readers[i] = new DeviceReader(this, slots, i);
        WarnUnlessLocked(slots.LockResult != Errno.None ? slots.LockResult : _readers[0].LockResult);
    }

    /// <summary>Where requests are until they are answered.</summary>
    internal RequestSlots Slots { get; }

    internal override (int Running, int Busy) Threads => (base.Threads.Running, _readers.Count(reader => reader.IsBusy));

    internal override void Start() => StartThreads("fuse", [.. _readers.Select(reader => (Action)reader.Serve)]);

    /// <summary>Answers what another server has left, then goes on with its mount.</summary>
    /// <param name="resend">Have the kernel send again what no slot holds, where it can.</param>
    internal RecoveredRequests Resume(bool resend)
    {
        RecoveredRequests recovered = new RequestRecovery(this, Slots, RequestProbe.IsUnanswered).Run();
        // EINVAL: before Linux 6.9. Once, and before any thread reads: it would send that thread's request again as well.
        if (resend && Connection.Resend() is var error and not (Errno.None or Errno.EINVAL))
            Trouble($"the kernel does not send unanswered requests again: {error.Describe()}");
        if (_session.Negotiation is { } negotiation)
            Accept(negotiation);
        Start();
        return recovered;
    }

    protected override void Free()
    {
        foreach (DeviceReader reader in _readers)
            reader.Dispose();
        Slots.Dispose();
    }
}
