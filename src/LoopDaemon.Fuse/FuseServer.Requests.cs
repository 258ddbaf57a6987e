using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using LoopDaemon.Fuse.Wire;
using LoopDaemon.Linux;

namespace LoopDaemon.Fuse;

/// <summary>From a request's bytes to a call on the file system, and from its result to the reply's bytes.</summary>
public sealed partial class FuseServer
{
    private void Execute(Reader reader, ReadOnlySpan<byte> message)
    {
        if (message.Length < InHeader.Size)
        {
            _trouble($"the kernel sent a request of {message.Length} bytes, shorter than its header");
            return;
        }
        InHeader header = MemoryMarshal.Read<InHeader>(message);
        ReadOnlySpan<byte> body = message[InHeader.Size..];
        Errno error;
        int length = 0;
        bool wantsReply = true;
        try
        {
            error = Call(reader, in header, body, out length, out wantsReply);
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            // The file system's fault; the caller gets EIO and the mount lives on.
            _trouble($"request {header.Opcode} on node {header.Node} failed: {failure}");
            error = Errno.EIO;
        }
        if (!wantsReply)
            return;
        if (header.Opcode is Opcode.Write or Opcode.FAllocate or Opcode.FSync or Opcode.Flush)
            reader.Slot.MarkDone(error == Errno.None ? WrittenBytes(reader, length) : -(int)error);
        Reply(reader, in header, error, length);
    }

    private static int WrittenBytes(Reader reader, int length) =>
        length == 0 ? 0 : (int)MemoryMarshal.Read<WriteOut>(reader.Data).Length;

    private void Reply(Reader reader, in InHeader header, Errno error, int length)
    {
        Span<byte> reply = reader.Whole(error == Errno.None ? length : 0);
        var head = new OutHeader { Length = (uint)reply.Length, Error = -(int)error, Unique = header.Unique };
        MemoryMarshal.Write(reply, in head);
        Errno sent = _connection.Device.Write(reply, out _);
        // ENOENT: the caller was interrupted and no longer waits. ENODEV: unmounted meanwhile.
        if (sent is not (Errno.None or Errno.ENOENT or Errno.ENODEV))
            _trouble($"the kernel refused the reply to {header.Opcode} on node {header.Node}: {sent.Describe()}");
    }

    /// <summary>Calls the file system.</summary>
    /// <param name="reader">The thread's memory; the reply's data is left at the beginning of its Data.</param>
    /// <param name="header">The request's header.</param>
    /// <param name="body">What follows it.</param>
    /// <param name="length">Length of the reply's data.</param>
    /// <param name="wantsReply">False where the kernel expects none.</param>
    private Errno Call(Reader reader, in InHeader header, ReadOnlySpan<byte> body, out int length, out bool wantsReply)
    {
        length = 0;
        wantsReply = true;
        var request = new FuseRequest(header.Unique, header.Node, header.Uid, header.Gid, header.Pid);
        switch (header.Opcode)
        {
            case Opcode.Read:
                return Read(reader, in request, in As<TransferIn>(body), out length);
            case Opcode.Write:
                return Write(reader, in request, body, out length);
            case Opcode.GetAttr:
            case Opcode.StatX:
                return GetAttributes(reader, in request, header.Opcode, out length);
            case Opcode.SetAttr:
                return SetAttributes(reader, in request, in As<SetAttrIn>(body), out length);
            case Opcode.Lookup:
                return Lookup(reader, in request, body, out length);
            case Opcode.Open:
                var reply = new OpenReply();
                Errno error = _fileSystem.Open(in request, (OpenFlags)As<OpenIn>(body).Flags, ref reply);
                length = PutOpen(reader, in reply);
                return error;
            case Opcode.OpenDir:
                var directory = new OpenReply();
                error = _fileSystem.OpenDirectory(in request, ref directory);
                length = PutOpen(reader, in directory);
                return error;
            case Opcode.Release:
                ref readonly ReleaseIn release = ref As<ReleaseIn>(body);
                _fileSystem.Release(in request, release.Handle, (OpenFlags)release.Flags);
                return Errno.None;
            case Opcode.ReleaseDir:
                _fileSystem.ReleaseDirectory(in request, As<ReleaseIn>(body).Handle);
                return Errno.None;
            case Opcode.Flush:
                return _fileSystem.Flush(in request, As<FlushIn>(body).Handle);
            case Opcode.FSync:
                ref readonly FSyncIn sync = ref As<FSyncIn>(body);
                return _fileSystem.Synchronize(in request, sync.Handle, (sync.Flags & FSyncIn.DataOnly) != 0);
            case Opcode.FAllocate:
                ref readonly FAllocateIn allocate = ref As<FAllocateIn>(body);
                return _fileSystem.Allocate(in request, allocate.Handle, (AllocateMode)allocate.Mode,
                    (long)allocate.Offset, (long)allocate.Length, reader.Data);
            case Opcode.LSeek:
                return Seek(reader, in request, in As<LSeekIn>(body), out length);
            case Opcode.ReadDir:
            case Opcode.ReadDirPlus:
                return ReadDirectory(reader, in request, in As<TransferIn>(body), header.Opcode == Opcode.ReadDirPlus, out length);
            case Opcode.StatFs:
                return GetStatistics(reader, in request, out length);
            case Opcode.Access:
                return _fileSystem.Access(in request, As<AccessIn>(body).Mask);
            case Opcode.Create or Opcode.MakeNode or Opcode.TmpFile:
                return _fileSystem.ChangeNamespace(in request, NamespaceChange.CreateFile);
            case Opcode.MakeDirectory:
                return _fileSystem.ChangeNamespace(in request, NamespaceChange.CreateDirectory);
            case Opcode.SymLink or Opcode.Link:
                return _fileSystem.ChangeNamespace(in request, NamespaceChange.CreateLink);
            case Opcode.Unlink:
                return _fileSystem.ChangeNamespace(in request, NamespaceChange.RemoveFile);
            case Opcode.RemoveDirectory:
                return _fileSystem.ChangeNamespace(in request, NamespaceChange.RemoveDirectory);
            case Opcode.Rename or Opcode.Rename2:
                return _fileSystem.ChangeNamespace(in request, NamespaceChange.Rename);
            case Opcode.Forget:
                wantsReply = false;
                _fileSystem.Forget(header.Node, As<ForgetIn>(body).Lookups);
                return Errno.None;
            case Opcode.BatchForget:
                wantsReply = false;
                BatchForget(body);
                return Errno.None;
            case Opcode.Interrupt:
                // Requests here end by themselves soon enough; the kernel accepts that none is cut short.
                wantsReply = false;
                return Errno.None;
            case Opcode.Init:
                return Initialize(reader, body, out length);
            case Opcode.Destroy:
                if (Interlocked.Exchange(ref _destroyed, 1) == 0)
                    _fileSystem.Destroyed();
                return Errno.None;
            default:
                return Errno.ENOSYS;
        }
    }

    private Errno Initialize(Reader reader, ReadOnlySpan<byte> body, out int length)
    {
        Errno error = FuseNegotiation.Answer(body, reader.Data, out length, out FuseNegotiation? negotiation);
        if (error != Errno.None)
        {
            _initialized.TrySetException(LinuxException.WithMessage(error,
                $"this kernel's FUSE protocol is older than 7.{FuseNegotiation.OldestMinor} (Linux 5.4)"));
        }
        else if (negotiation is not null)
        {
            _fileSystem.Initialized(_connection, negotiation);
            _initialized.TrySetResult(negotiation);
        }
        return error;
    }

    private Errno Read(Reader reader, in FuseRequest request, in TransferIn arguments, out int length)
    {
        length = 0;
        if (arguments.Length > RequestSlots.MaxDataBytes)
            return Errno.EINVAL;
        var position = new FilePosition(arguments.Handle, (long)arguments.Offset, (OpenFlags)arguments.Flags);
        return _fileSystem.Read(in request, in position, reader.Data[..(int)arguments.Length], out length);
    }

    private Errno Write(Reader reader, in FuseRequest request, ReadOnlySpan<byte> body, out int length)
    {
        length = 0;
        ref readonly TransferIn arguments = ref As<TransferIn>(body);
        ReadOnlySpan<byte> data = body[TransferIn.Size..];
        if (arguments.Length > data.Length)
            return Errno.EINVAL;
        var position = new FilePosition(arguments.Handle, (long)arguments.Offset, (OpenFlags)arguments.Flags);
        Errno error = _fileSystem.Write(in request, in position, data[..(int)arguments.Length], reader.Data, out int count);
        length = Put(reader, new WriteOut { Length = (uint)count });
        return error;
    }

    private Errno GetAttributes(Reader reader, in FuseRequest request, Opcode opcode, out int length)
    {
        var attributes = new NodeAttributes();
        Errno error = _fileSystem.GetAttributes(in request, ref attributes);
        length = opcode == Opcode.StatX
            ? Put(reader, Encoding.Statx(in attributes)) : Put(reader, Encoding.AttrReply(in attributes));
        return error;
    }

    private Errno SetAttributes(Reader reader, in FuseRequest request, in SetAttrIn arguments, out int length)
    {
        const uint Mode = 1, Uid = 2, Gid = 4, Size = 8, AnyTime = 16 | 32 | 128 | 256 | 1024;
        var change = new AttributeChange
        {
            SizeBytes = (arguments.Valid & Size) != 0 ? (long)arguments.Size : null,
            Permissions = (arguments.Valid & Mode) != 0 ? arguments.Mode & 0xFFF : null,
            Uid = (arguments.Valid & Uid) != 0 ? arguments.Uid : null,
            Gid = (arguments.Valid & Gid) != 0 ? arguments.Gid : null,
            Times = (arguments.Valid & AnyTime) != 0,
        };
        var attributes = new NodeAttributes();
        Errno error = _fileSystem.SetAttributes(in request, in change, ref attributes);
        length = Put(reader, Encoding.AttrReply(in attributes));
        return error;
    }

    private Errno Lookup(Reader reader, in FuseRequest request, ReadOnlySpan<byte> body, out int length)
    {
        int end = body.IndexOf((byte)0);
        var entry = new FuseEntry();
        Errno error = end < 0 ? Errno.EINVAL : _fileSystem.Lookup(in request, body[..end], ref entry);
        length = Put(reader, Encoding.Entry(in entry));
        return error;
    }

    private Errno Seek(Reader reader, in FuseRequest request, in LSeekIn arguments, out int length)
    {
        length = 0;
        var target = (SeekTarget)arguments.Whence;
        if (target is not (SeekTarget.Data or SeekTarget.Hole))
            return Errno.EINVAL;
        Errno error = _fileSystem.Seek(in request, arguments.Handle, target, (long)arguments.Offset, out long found);
        length = Put(reader, new LSeekOut { Offset = (ulong)found });
        return error;
    }

    private Errno ReadDirectory(Reader reader, in FuseRequest request, in TransferIn arguments, bool withAttributes, out int length)
    {
        int room = (int)Math.Min(arguments.Length, RequestSlots.MaxDataBytes);
        var writer = new DirectoryWriter(reader.Data[..room], withAttributes);
        Errno error = _fileSystem.ReadDirectory(in request, arguments.Handle, arguments.Offset, ref writer);
        length = writer.Length;
        return error;
    }

    private Errno GetStatistics(Reader reader, in FuseRequest request, out int length)
    {
        var statistics = new FileSystemStatistics();
        Errno error = _fileSystem.GetStatistics(in request, ref statistics);
        length = Put(reader, new StatFsOut
        {
            Blocks = statistics.Blocks,
            BlocksFree = statistics.BlocksFree,
            BlocksAvailable = statistics.BlocksFree,
            Files = statistics.Files,
            BlockSize = statistics.BlockSizeBytes,
            FragmentSize = statistics.BlockSizeBytes,
            NameLength = statistics.NameLength,
        });
        return error;
    }

    private void BatchForget(ReadOnlySpan<byte> body)
    {
        uint count = As<BatchForgetIn>(body).Count;
        ReadOnlySpan<ForgetOne> nodes = MemoryMarshal.Cast<byte, ForgetOne>(body[Unsafe.SizeOf<BatchForgetIn>()..]);
        foreach (ref readonly ForgetOne node in nodes[..(int)Math.Min(count, nodes.Length)])
            _fileSystem.Forget(node.Node, node.Lookups);
    }

    private static int PutOpen(Reader reader, in OpenReply reply) => Put(reader, new OpenOut
    {
        Handle = reply.Handle,
        OpenFlags = (uint)reply.Modes,
        BackingId = reply.BackingId,
    });

    /// <summary>Places a reply's structure at the beginning of its data.</summary>
    private static int Put<T>(Reader reader, in T structure) where T : unmanaged
    {
        MemoryMarshal.Write(reader.Data, in structure);
        return Unsafe.SizeOf<T>();
    }

    /// <summary>The arguments in place; a body that is too short throws, and is answered with EIO.</summary>
    private static ref readonly T As<T>(ReadOnlySpan<byte> body) where T : unmanaged =>
        ref MemoryMarshal.AsRef<T>(body);
}
