using System.Runtime.InteropServices;
using LoopDaemon.Fuse.Wire;
using LoopDaemon.Linux;

namespace LoopDaemon.Fuse.Engines;

/// <summary>One thread that blocks in read(2) on <c>/dev/fuse</c>, has each request carried out and answers it with
/// write(2). It has a slot, where requests come in, and memory of its own, where replies and encoded data are built: a
/// request stays intact in its slot until it is answered.</summary>
internal sealed class DeviceReader : IDisposable
{
    private const int ReplyPage = 4096;
    private const ulong ResentBit = 1UL << 63;
    private const int ReplyBytes = ReplyPage + FuseSession.MaxDataBytes + 8192;

    private readonly FuseEngine _engine;
    private readonly RequestSlots.Slot _slot;
    private readonly int _index;
    private readonly PageMemory _reply = PageMemory.Allocate(ReplyBytes);

    /// <summary>Makes the reader of a slot.</summary>
    internal DeviceReader(FuseEngine engine, RequestSlots slots, int index)
    {
        _engine = engine;
        _slot = slots[index];
        _index = index;
    }

    /// <summary>Whether the memory could be locked.</summary>
    internal Errno LockResult => _reply.LockResult;

    /// <summary>Page-aligned: a reply's data, or, before a reply without data, a file system's own use.</summary>
    private Span<byte> Data => _reply.Span(ReplyPage, ReplyBytes - ReplyPage);

    /// <summary>Whether it is in the middle of a request, and not waiting for one.</summary>
    internal bool IsBusy => _slot.Progress is SlotState.Read or SlotState.Done;

    /// <summary>Serves until the mount is gone or the engine parks.</summary>
    internal void Serve()
    {
        while (!_engine.IsParking)
        {
            if (!ServeOne())
            {
                _engine.OnUnmounted();
                return;
            }
        }
    }

    /// <summary>Answers the request that another process has left in the slot: by what it noted, or by doing it again.</summary>
    internal void Recover()
    {
        ReadOnlySpan<byte> request = _slot.Request[..(int)_slot.RequestLength];
        if (_slot.Progress == SlotState.Done)
        {
            InHeader header = MemoryMarshal.Read<InHeader>(request);
            int result = _slot.NotedResult, length = 0;
            if (header.Opcode == Opcode.Write && result >= 0)
            {
                MemoryMarshal.Write(Data, new WriteOut { Length = (uint)result });
                length = Marshal.SizeOf<WriteOut>();
            }
            Reply(in header, (Errno)Math.Max(0, -result), length);
        }
        else
        {
            _slot.MarkRead();
            Execute(request);
        }
        _slot.MarkAnswered();
    }

    public void Dispose() => _reply.Dispose();

    /// <summary>Reads, carries out and answers one request.</summary>
    /// <returns>False when the mount is gone.</returns>
    private bool ServeOne()
    {
        FileDescriptor device = _engine.Connection.Device;
        _slot.Clear(device.Number);
        Errno error = device.Read(_slot.Request, out int length);
        switch (error)
        {
            case Errno.None:
                break;
            case Errno.EINTR or Errno.EAGAIN or Errno.ENOENT:
                // ENOENT: the request was interrupted before it could be read.
                return true;
            case Errno.ENODEV or Errno.ECONNABORTED:
                // ECONNABORTED: the mount went while the request was on its way.
                return false;
            default:
                _engine.Trouble($"reading from /dev/fuse failed: {error.Describe()}");
                return false;
        }
        _slot.MarkRead();
        if (length >= InHeader.Size)
            Execute(_slot.Request[..length]);
        else
            _engine.Trouble($"the kernel sent a request of {length} bytes, shorter than its header");
        _slot.MarkAnswered();
        return true;
    }

    private void Execute(ReadOnlySpan<byte> request)
    {
        InHeader header = MemoryMarshal.Read<InHeader>(request);
        if ((header.Unique & ResentBit) != 0)
            _engine.Trouble($"the kernel had to send request {header.Unique & ~ResentBit} ({header.Opcode}) again: no slot held it, which is a bug");
        ReadOnlySpan<byte> arguments = request[InHeader.Size..];
        int structure = Math.Min(header.ArgumentsSize, arguments.Length);
        var message = new RequestMessage { Header = header, Arguments = arguments, Payload = arguments[structure..], Slot = _index };
        if (!_engine.Session.Execute(in message, Data, Data, out Errno error, out int length))
            return;
        if (header.Opcode is Opcode.Write or Opcode.FAllocate or Opcode.FSync or Opcode.Flush)
            _slot.MarkDone(error == Errno.None ? WrittenBytes(length) : -(int)error);
        if (header.Opcode != Opcode.Init)
        {
            Reply(in header, error, length);
            return;
        }
        bool before = RequestProbe.IsUnanswered(_engine.Connection, header.Unique) == true;
        Reply(in header, error, length);
        if (error == Errno.None && (!before || RequestProbe.IsUnanswered(_engine.Connection, header.Unique) != false))
            _engine.Trouble("this kernel does not tell answered requests from others: after a crash the marks in the slots alone decide");
        _engine.AfterInit(error);
    }

    private int WrittenBytes(int length) => length == 0 ? 0 : (int)MemoryMarshal.Read<WriteOut>(Data).Length;

    private void Reply(in InHeader header, Errno error, int length)
    {
        Span<byte> reply = _reply.Span(ReplyPage - OutHeader.Size, OutHeader.Size + length);
        var head = new OutHeader { Length = (uint)reply.Length, Error = -(int)error, Unique = header.Unique };
        MemoryMarshal.Write(reply, in head);
        Errno sent = _engine.Connection.Device.Write(reply, out _);
        // ENOENT: the caller was interrupted and no longer waits. ENODEV: unmounted meanwhile.
        if (sent is not (Errno.None or Errno.ENOENT or Errno.ENODEV))
            _engine.Trouble($"the kernel refused the reply to {header.Opcode} on node {header.Node}: {sent.Describe()}");
    }
}
