using System.Diagnostics;
using System.Runtime.InteropServices;
using LoopDaemon.Fuse.Wire;
using LoopDaemon.Linux;

namespace LoopDaemon.Fuse.Engines;

/// <summary>One ring and its thread. The kernel places a request in an entry that it holds, header and payload apart; the
/// thread carries it out, places the reply in the same memory, and gives the entry back.
///
/// An entry's memory is a page for the header and <see cref="FuseSession.MaxDataBytes"/> for the payload, so that both
/// written data and read replies begin on a page.</summary>
internal sealed class RingReader : IDisposable
{
    private const int HeaderPage = 4096;
    private const int EntryBytes = HeaderPage + FuseSession.MaxDataBytes;
    private const int ScratchBytes = FuseSession.MaxDataBytes + 8192;
    private const ulong EndOfMount = ulong.MaxValue;

    /// <summary>Replies are handed over together, but none waits longer for the requests behind it.</summary>
    private static readonly TimeSpan ReplyTime = TimeSpan.FromMicroseconds(100);

    private readonly UringEngine _engine;
    private readonly ushort[] _queues;
    private readonly PageMemory _memory;

    /// <summary>Allocates the memory of a ring.</summary>
    /// <param name="engine">The engine.</param>
    /// <param name="queues">For each entry, the number of the kernel's queue that it serves.</param>
    internal RingReader(UringEngine engine, ushort[] queues)
    {
        _engine = engine;
        _queues = queues;
        _memory = PageMemory.Allocate(ScratchBytes + queues.Length * EntryBytes);
    }

    /// <summary>Whether the memory could be locked.</summary>
    internal Errno LockResult => _memory.LockResult;

    private Span<byte> Scratch => _memory.Span(0, ScratchBytes);

    /// <summary>Serves until the mount is gone.</summary>
    /// <exception cref="LinuxException">The ring cannot be made, or the kernel does not take its entries.</exception>
    internal void Serve()
    {
        Errno error = IoUring.TryCreate(_queues.Length + 1, out IoUring? made);
        using IoUring ring = made ?? throw UringEngine.Refusal(error);
        Register(ring);
        Check(ring.Enter(wait: false));
        bool mounted = AnswerAll(ring);
        if (mounted)
            _engine.OnRegistered();
        while (mounted)
        {
            Check(ring.Enter(wait: true));
            mounted = AnswerAll(ring);
        }
    }

    public void Dispose() => _memory.Dispose();

    /// <summary>Offers the kernel all entries. What it refuses completes at once.</summary>
    private void Register(IoUring ring)
    {
        FileDescriptor device = _engine.Connection.Device;
        // Entries do not come back from every unmount: one that overtakes their registration forgets them.
        ring.PrepareWaitForEnd(device, EndOfMount);
        for (int i = 0; i < _queues.Length; i++)
        {
            var command = new UringCommandIn { QueueId = _queues[i] };
            ring.PrepareCommand(device, (uint)UringCommand.Register, (ulong)i, in command, Header(i), Payload(i));
        }
    }

    /// <summary>Carries out all requests that have come.</summary>
    /// <returns>False when the mount is gone.</returns>
    private bool AnswerAll(IoUring ring)
    {
        long since = Stopwatch.GetTimestamp();
        while (ring.TryTake(out ulong id, out int result))
        {
            if (id == EndOfMount)
                return false;
            var error = (Errno)(-Math.Min(result, 0));
            if (error is Errno.ENOTCONN or Errno.ECONNABORTED)
                continue;
            if (error != Errno.None)
                throw LinuxException.WithMessage(error, $"the kernel does not take an entry of FUSE over io_uring: {error.Describe()}");
            Answer(ring, (int)id);
            if (Stopwatch.GetElapsedTime(since) > ReplyTime)
            {
                Check(ring.Enter(wait: false));
                since = Stopwatch.GetTimestamp();
            }
        }
        return true;
    }

    private void Answer(IoUring ring, int entry)
    {
        ref UringRequestHeader header = ref MemoryMarshal.AsRef<UringRequestHeader>(Header(entry));
        InHeader request = header.In;
        Span<byte> payload = Payload(entry);
        var message = new RequestMessage
        {
            Header = request,
            Arguments = MemoryMarshal.CreateReadOnlySpan(ref header.Arguments, UringRequestHeader.ArgumentsSize),
            Payload = payload[..(int)header.Entry.PayloadLength],
            Slot = -1,
        };
        // An entry is given back in any case: the kernel sends nothing here that wants no reply.
        _engine.Session.Execute(in message, payload, Scratch, out Errno error, out int length);
        header.Out = new OutHeader { Length = (uint)(OutHeader.Size + length), Error = -(int)error, Unique = request.Unique };
        header.Entry.PayloadLength = (uint)length;
        var command = new UringCommandIn { CommitId = header.Entry.CommitId, QueueId = _queues[entry] };
        ring.PrepareCommand(_engine.Connection.Device, (uint)UringCommand.CommitAndFetch, (ulong)entry, in command);
    }

    private static void Check(Errno error)
    {
        if (error != Errno.None)
            throw new LinuxException(error, "the ring of FUSE over io_uring failed");
    }

    private Span<byte> Header(int entry) => _memory.Span(ScratchBytes + entry * EntryBytes, UringRequestHeader.Size);

    private Span<byte> Payload(int entry) => _memory.Span(ScratchBytes + entry * EntryBytes + HeaderPage, FuseSession.MaxDataBytes);
}
