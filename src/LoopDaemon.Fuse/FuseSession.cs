using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using LoopDaemon.Fuse.Wire;
using LoopDaemon.Linux;

namespace LoopDaemon.Fuse;

/// <summary>A request as an engine hands it over. Its bytes stay where the kernel has put them.</summary>
internal readonly ref struct RequestMessage
{
    internal required InHeader Header { get; init; }

    /// <summary>The operation's own structure, and perhaps more behind it.</summary>
    internal required ReadOnlySpan<byte> Arguments { get; init; }

    /// <summary>What follows the structure: a name, or data to be written.</summary>
    internal required ReadOnlySpan<byte> Payload { get; init; }

    /// <summary>The number of the slot that holds the request until it is answered, or -1.</summary>
    internal required int Slot { get; init; }
}

/// <summary>What requests mean: from a request's bytes to a call on the file system, and from its result to the reply's
/// bytes. How a request came, and how its answer goes back, is the engine's business.</summary>
internal sealed class FuseSession(FuseConnection connection, FuseFileSystem fileSystem, Action<string> trouble)
{
    /// <summary>The most data in one request, in bytes.</summary>
    internal const int MaxDataBytes = 1 << 20;

    private int _destroyed;

    /// <summary>What INIT asks for beyond what every engine wants.</summary>
    internal InitFlags EngineFlags { get; init; }

    /// <summary>What INIT settled, now or with the daemon before this one; null before.</summary>
    internal FuseNegotiation? Negotiation { get; set; }

    /// <summary>Carries a request out.</summary>
    /// <param name="message">The request.</param>
    /// <param name="reply">Where the reply's data goes: at least <see cref="MaxDataBytes"/>. It may be the memory
    /// of the payload, which is then overwritten once the file system is through with it.</param>
    /// <param name="scratch">Page-aligned memory for the file system's own use, 8 KiB longer than the longest data; the
    /// memory of the reply will do, the payload's will not.</param>
    /// <param name="error">The reply's error.</param>
    /// <param name="length">Length of the reply's data.</param>
    /// <returns>False where the kernel expects no reply.</returns>
    internal bool Execute(in RequestMessage message, Span<byte> reply, Span<byte> scratch, out Errno error, out int length)
    {
        bool wantsReply = true;
        try
        {
            error = Call(in message, reply, scratch, out length, out wantsReply);
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            // The file system's fault; the caller gets EIO and the mount lives on.
            trouble($"request {message.Header.Opcode} on node {message.Header.Node} failed: {failure}");
            error = Errno.EIO;
            length = 0;
        }
        if (error != Errno.None)
            length = 0;
        return wantsReply;
    }

    /// <summary>Tells the file system, once, that the mount is gone.</summary>
    internal void Destroy()
    {
        if (Interlocked.Exchange(ref _destroyed, 1) == 0)
            fileSystem.Destroyed();
    }

    /// <summary>Calls the file system.</summary>
    private Errno Call(in RequestMessage message, Span<byte> reply, Span<byte> scratch, out int length, out bool wantsReply)
    {
        length = 0;
        wantsReply = true;
        InHeader header = message.Header;
        ReadOnlySpan<byte> arguments = message.Arguments, payload = message.Payload;
        var request = new FuseRequest(header.Unique, header.Node, header.Uid, header.Gid, header.Pid, message.Slot);
        switch (header.Opcode)
        {
            case Opcode.Read:
                return Read(in request, in As<TransferIn>(arguments), reply, out length);
            case Opcode.Write:
                return Write(in request, in As<TransferIn>(arguments), payload, reply, scratch, out length);
            case Opcode.GetAttr:
            case Opcode.StatX:
                return GetAttributes(in request, header.Opcode, reply, out length);
            case Opcode.SetAttr:
                return SetAttributes(in request, in As<SetAttrIn>(arguments), reply, out length);
            case Opcode.Lookup:
                return Lookup(in request, payload, reply, out length);
            case Opcode.Open:
                var opened = new OpenReply();
                Errno error = fileSystem.Open(in request, (OpenFlags)As<OpenIn>(arguments).Flags, ref opened);
                length = PutOpen(reply, in opened);
                return error;
            case Opcode.OpenDir:
                var directory = new OpenReply();
                error = fileSystem.OpenDirectory(in request, ref directory);
                length = PutOpen(reply, in directory);
                return error;
            case Opcode.Release:
                ref readonly ReleaseIn release = ref As<ReleaseIn>(arguments);
                fileSystem.Release(in request, release.Handle, (OpenFlags)release.Flags);
                return Errno.None;
            case Opcode.ReleaseDir:
                fileSystem.ReleaseDirectory(in request, As<ReleaseIn>(arguments).Handle);
                return Errno.None;
            case Opcode.Flush:
                return fileSystem.Flush(in request, As<FlushIn>(arguments).Handle);
            case Opcode.FSync:
                ref readonly FSyncIn sync = ref As<FSyncIn>(arguments);
                return fileSystem.Synchronize(in request, sync.Handle, (sync.Flags & FSyncIn.DataOnly) != 0);
            case Opcode.FAllocate:
                ref readonly FAllocateIn allocate = ref As<FAllocateIn>(arguments);
                return fileSystem.Allocate(in request, allocate.Handle, (AllocateMode)allocate.Mode,
                    (long)allocate.Offset, (long)allocate.Length, scratch);
            case Opcode.LSeek:
                return Seek(in request, in As<LSeekIn>(arguments), reply, out length);
            case Opcode.ReadDir:
            case Opcode.ReadDirPlus:
                return ReadDirectory(in request, in As<TransferIn>(arguments), header.Opcode == Opcode.ReadDirPlus, reply, out length);
            case Opcode.StatFs:
                return GetStatistics(in request, reply, out length);
            case Opcode.Access:
                return fileSystem.Access(in request, As<AccessIn>(arguments).Mask);
            case Opcode.Create or Opcode.MakeNode or Opcode.TmpFile:
                return fileSystem.ChangeNamespace(in request, NamespaceChange.CreateFile);
            case Opcode.MakeDirectory:
                return fileSystem.ChangeNamespace(in request, NamespaceChange.CreateDirectory);
            case Opcode.SymLink or Opcode.Link:
                return fileSystem.ChangeNamespace(in request, NamespaceChange.CreateLink);
            case Opcode.Unlink:
                return fileSystem.ChangeNamespace(in request, NamespaceChange.RemoveFile);
            case Opcode.RemoveDirectory:
                return fileSystem.ChangeNamespace(in request, NamespaceChange.RemoveDirectory);
            case Opcode.Rename or Opcode.Rename2:
                return fileSystem.ChangeNamespace(in request, NamespaceChange.Rename);
            case Opcode.Forget:
                wantsReply = false;
                fileSystem.Forget(header.Node, As<ForgetIn>(arguments).Lookups);
                return Errno.None;
            case Opcode.BatchForget:
                wantsReply = false;
                BatchForget(in As<BatchForgetIn>(arguments), payload);
                return Errno.None;
            case Opcode.Interrupt:
                // Requests here end by themselves soon enough; the kernel accepts that none is cut short.
                wantsReply = false;
                return Errno.None;
            case Opcode.Init:
                return Initialize(arguments, reply, out length);
            case Opcode.Destroy:
                Destroy();
                return Errno.None;
            default:
                return Errno.ENOSYS;
        }
    }

    private Errno Initialize(ReadOnlySpan<byte> arguments, Span<byte> reply, out int length)
    {
        Errno error = FuseNegotiation.Answer(arguments, EngineFlags, reply, out length, out FuseNegotiation? negotiation);
        if (error == Errno.None && negotiation is not null)
        {
            // Before the answer: whoever takes over from here on has to know it.
            fileSystem.Initialized(connection, negotiation);
            Negotiation = negotiation;
        }
        return error;
    }

    private Errno Read(in FuseRequest request, in TransferIn arguments, Span<byte> reply, out int length)
    {
        length = 0;
        if (arguments.Length > MaxDataBytes)
            return Errno.EINVAL;
        var position = new FilePosition(arguments.Handle, (long)arguments.Offset, (OpenFlags)arguments.Flags);
        return fileSystem.Read(in request, in position, reply[..(int)arguments.Length], out length);
    }

    private Errno Write(
        in FuseRequest request, in TransferIn arguments, ReadOnlySpan<byte> data, Span<byte> reply, Span<byte> scratch, out int length)
    {
        length = 0;
        if (arguments.Length > data.Length)
            return Errno.EINVAL;
        var position = new FilePosition(arguments.Handle, (long)arguments.Offset, (OpenFlags)arguments.Flags);
        Errno error = fileSystem.Write(in request, in position, data[..(int)arguments.Length], scratch, out int count);
        length = Put(reply, new WriteOut { Length = (uint)count });
        return error;
    }

    private Errno GetAttributes(in FuseRequest request, Opcode opcode, Span<byte> reply, out int length)
    {
        var attributes = new NodeAttributes();
        Errno error = fileSystem.GetAttributes(in request, ref attributes);
        length = opcode == Opcode.StatX
            ? Put(reply, Encoding.Statx(in attributes)) : Put(reply, Encoding.AttrReply(in attributes));
        return error;
    }

    private Errno SetAttributes(in FuseRequest request, in SetAttrIn arguments, Span<byte> reply, out int length)
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
        Errno error = fileSystem.SetAttributes(in request, in change, ref attributes);
        length = Put(reply, Encoding.AttrReply(in attributes));
        return error;
    }

    private Errno Lookup(in FuseRequest request, ReadOnlySpan<byte> name, Span<byte> reply, out int length)
    {
        int end = name.IndexOf((byte)0);
        var entry = new FuseEntry();
        Errno error = end < 0 ? Errno.EINVAL : fileSystem.Lookup(in request, name[..end], ref entry);
        length = Put(reply, Encoding.Entry(in entry));
        return error;
    }

    private Errno Seek(in FuseRequest request, in LSeekIn arguments, Span<byte> reply, out int length)
    {
        length = 0;
        var target = (SeekTarget)arguments.Whence;
        if (target is not (SeekTarget.Data or SeekTarget.Hole))
            return Errno.EINVAL;
        Errno error = fileSystem.Seek(in request, arguments.Handle, target, (long)arguments.Offset, out long found);
        length = Put(reply, new LSeekOut { Offset = (ulong)found });
        return error;
    }

    private Errno ReadDirectory(in FuseRequest request, in TransferIn arguments, bool withAttributes, Span<byte> reply, out int length)
    {
        int room = (int)Math.Min(arguments.Length, MaxDataBytes);
        var writer = new DirectoryWriter(reply[..room], withAttributes);
        Errno error = fileSystem.ReadDirectory(in request, arguments.Handle, arguments.Offset, ref writer);
        length = writer.Length;
        return error;
    }

    private Errno GetStatistics(in FuseRequest request, Span<byte> reply, out int length)
    {
        var statistics = new FileSystemStatistics();
        Errno error = fileSystem.GetStatistics(in request, ref statistics);
        length = Put(reply, new StatFsOut
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

    private void BatchForget(in BatchForgetIn arguments, ReadOnlySpan<byte> list)
    {
        ReadOnlySpan<ForgetOne> nodes = MemoryMarshal.Cast<byte, ForgetOne>(list);
        foreach (ref readonly ForgetOne node in nodes[..(int)Math.Min(arguments.Count, nodes.Length)])
            fileSystem.Forget(node.Node, node.Lookups);
    }

    private static int PutOpen(Span<byte> reply, in OpenReply opened) => Put(reply, new OpenOut
    {
        Handle = opened.Handle,
        OpenFlags = (uint)opened.Modes,
        BackingId = opened.BackingId,
    });

    /// <summary>Places a reply's structure at the beginning of its data.</summary>
    private static int Put<T>(Span<byte> reply, in T structure) where T : unmanaged
    {
        MemoryMarshal.Write(reply, in structure);
        return Unsafe.SizeOf<T>();
    }

    /// <summary>The arguments in place; where there are too few, this throws and the answer is EIO.</summary>
    private static ref readonly T As<T>(ReadOnlySpan<byte> arguments) where T : unmanaged =>
        ref MemoryMarshal.AsRef<T>(arguments);
}
