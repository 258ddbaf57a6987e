using LoopDaemon.Fuse.Wire;
using LoopDaemon.Linux;

namespace LoopDaemon.Fuse.Engines;

/// <summary>FUSE over io_uring (Linux 6.14): the kernel has a queue for each processor, and this engine two rings for each
/// queue, with a thread each that goes wherever the scheduler puts it. One submitter's requests all come to one queue:
/// with one thread for it he would be served by one processor, and so he would with both threads pinned to the queue's.
/// One reader thread stays on <c>/dev/fuse</c>, where INIT, FORGET and INTERRUPT still come.
///
/// Not crash-safe: a request that was in a ring when this process died is not sent again. And a request does not wait
/// alone: those behind it in the same ring wait with it, so the file system must not have one wait for another.</summary>
internal sealed class UringEngine : FuseEngine
{
    private const int RingsPerQueue = 2;
    private const int EntriesPerRing = 8;
    private const string Parameter = "/sys/module/fuse/parameters/enable_uring";
    private const string Sysctl = "/proc/sys/kernel/io_uring_disabled";

    private readonly RequestSlots _slot = new(1);
    private readonly DeviceReader _reader;
    private readonly RingReader[] _rings;
    private FuseNegotiation? _negotiation;
    private int _unregistered;

    /// <summary>Allocates the memory: 1 MiB for each entry, and one more for each ring.</summary>
    /// <param name="connection">The mount.</param>
    /// <param name="session">What carries requests out; it asks for <see cref="InitFlags.OverIoUring"/>.</param>
    /// <param name="trouble">Told what is odd but not fatal.</param>
    /// <param name="processors">How many there may ever be: so many queues the kernel has.</param>
    /// <param name="online">The numbers of those that run.</param>
    internal UringEngine(FuseConnection connection, FuseSession session, Action<string> trouble, int processors, IReadOnlyList<int> online)
        : base(connection, session, trouble)
    {
        _reader = new DeviceReader(this, _slot, 0);
        _rings = [.. Layout(processors, online).Select(queues => new RingReader(this, queues))];
        WarnUnlessLocked(_rings[0].LockResult);
    }

    /// <summary>Which queue each entry of each ring serves. The kernel begins when every queue has an entry; one whose
    /// processor does not run gets a single one, in case it ever does.</summary>
    internal static ushort[][] Layout(int processors, IReadOnlyList<int> online)
    {
        int[] busy = [.. online.Where(processor => processor < processors)];
        List<ushort>[] rings = [.. Enumerable.Range(0, busy.Length * RingsPerQueue)
            .Select(ring => Enumerable.Repeat((ushort)busy[ring / RingsPerQueue], EntriesPerRing).ToList())];
        int next = 0;
        foreach (int idle in Enumerable.Range(0, processors).Except(busy))
            rings[next++ % rings.Length].Add((ushort)idle);
        return [.. rings.Select(ring => ring.ToArray())];
    }

    /// <summary>Finds out, before anything is mounted, whether this machine lets us.</summary>
    /// <exception cref="LinuxException">It does not: why, and what to do.</exception>
    internal static void Require()
    {
        // Opening the device loads the kernel's module.
        if (FileDescriptor.TryOpen("/dev/fuse", OpenFlags.ReadWrite, out FileDescriptor? device) == Errno.None)
            device!.Dispose();
        if (!File.Exists(Parameter))
            throw LinuxException.WithMessage(Errno.EOPNOTSUPP, "this kernel has no FUSE over io_uring: it takes Linux 6.14 or later with CONFIG_FUSE_IO_URING");
        if (File.ReadAllText(Parameter).Trim() is not ("Y" or "1"))
        {
            throw LinuxException.WithMessage(Errno.EOPNOTSUPP,
                $"FUSE over io_uring is switched off: as root, echo 1 > {Parameter}, or boot with fuse.enable_uring=1");
        }
        Errno error = IoUring.TryCreate(EntriesPerRing + 1, out IoUring? ring);
        ring?.Dispose();
        if (error != Errno.None)
            throw Refusal(error);
    }

    /// <summary>Why a ring could not be made.</summary>
    internal static LinuxException Refusal(Errno error) => LinuxException.WithMessage(error, error switch
    {
        Errno.EPERM when File.Exists(Sysctl) && File.ReadAllText(Sysctl).Trim() is not "0" and var level =>
            $"io_uring is forbidden by the sysctl kernel.io_uring_disabled={level}: as root, sysctl kernel.io_uring_disabled=0",
        Errno.EPERM or Errno.EACCES or Errno.ENOSYS =>
            $"io_uring is forbidden to this process ({error.Name()}): the seccomp filter or security module of its container or service must allow io_uring_setup and io_uring_enter",
        Errno.ENOMEM => "there is no memory for io_uring (ENOMEM): raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK=) or the memory limit of the service",
        _ => $"a ring of io_uring cannot be made: {error.Describe()}",
    });

    internal override void Start() => StartThreads("fuse", [_reader.Serve]);

    /// <summary>A ring's entries are with the kernel.</summary>
    internal void OnRegistered()
    {
        if (Interlocked.Decrement(ref _unregistered) == 0)
            Accept(_negotiation!);
    }

    /// <summary>The kernel takes entries only after the answer to INIT, and holds requests back until every queue has one.</summary>
    protected override void Begin(FuseNegotiation negotiation)
    {
        if (((InitFlags)negotiation.Flags & InitFlags.OverIoUring) == 0)
        {
            Refuse(LinuxException.WithMessage(Errno.EOPNOTSUPP, "the kernel does not offer FUSE over io_uring on this mount"));
            return;
        }
        _negotiation = negotiation;
        _unregistered = _rings.Length;
        StartThreads("fuse-ring", [.. _rings.Select(ring => (Action)ring.Serve)]);
    }

    protected override void Free()
    {
        foreach (RingReader ring in _rings)
            ring.Dispose();
        _reader.Dispose();
        _slot.Dispose();
    }
}
