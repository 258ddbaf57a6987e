using LoopDaemon.Linux;

namespace LoopDaemon.Fuse.Tests;

/// <summary>A file system with one file "data" of fixed size in memory, and any number of empty ones named "0", "1", ...;
/// each request can be watched or disturbed.</summary>
internal sealed class MemoryFileSystem(int size, int others = 0) : FuseFileSystem
{
    internal const ulong DataNode = 2;
    private const ulong FirstOther = 100;

    internal byte[] Content { get; } = new byte[size];

    internal OpenModes Modes { get; set; }

    internal int BackingId { get; set; }

    internal TimeSpan Validity { get; init; } = TimeSpan.FromHours(1);

    /// <summary>With 0, the kernel forgets a node as soon as nobody uses it.</summary>
    internal uint Links { get; init; } = 1;

    internal bool IsHidden { get; set; }

    internal Action<FilePosition, int>? OnRead { get; set; }

    internal Action<FilePosition, nint, nint>? OnWrite { get; set; }

    internal List<string> Calls { get; } = [];

    internal FuseConnection? Connection { get; private set; }

    public override void Initialized(FuseConnection connection, FuseNegotiation negotiation) => Connection = connection;

    public override void Destroyed() => Note("destroyed");

    public override Errno Lookup(in FuseRequest request, ReadOnlySpan<byte> name, ref FuseEntry entry)
    {
        ulong node = name.SequenceEqual("data"u8) && !IsHidden ? DataNode
            : int.TryParse(name, out int other) && other < others ? FirstOther + (ulong)other : 0;
        if (node == 0)
            return Errno.ENOENT;
        entry = new FuseEntry { NameValidity = Validity, Attributes = Describe(node) };
        return Errno.None;
    }

    public override void Forget(ulong node, ulong lookups) => Note($"forget {node}");

    public override Errno GetAttributes(in FuseRequest request, ref NodeAttributes attributes)
    {
        attributes = Describe(request.Node);
        return Errno.None;
    }

    public override Errno SetAttributes(in FuseRequest request, in AttributeChange change, ref NodeAttributes attributes)
    {
        Note($"setattr size={change.SizeBytes} mode={change.Permissions} uid={change.Uid} gid={change.Gid} times={change.Times}");
        return GetAttributes(in request, ref attributes);
    }

    public override Errno Open(in FuseRequest request, OpenFlags flags, ref OpenReply reply)
    {
        reply.Handle = request.Node + 1000;
        reply.Modes = Modes;
        reply.BackingId = BackingId;
        return Errno.None;
    }

    public override void Release(in FuseRequest request, ulong handle, OpenFlags flags) => Note($"release {handle}");

    public override Errno Read(in FuseRequest request, in FilePosition position, Span<byte> destination, out int count)
    {
        OnRead?.Invoke(position, destination.Length);
        count = (int)Math.Clamp(Content.Length - position.Offset, 0, destination.Length);
        Content.AsSpan((int)position.Offset, count).CopyTo(destination);
        return Errno.None;
    }

    public override unsafe Errno Write(in FuseRequest request, in FilePosition position, ReadOnlySpan<byte> data, Span<byte> scratch, out int count)
    {
        count = 0;
        if (position.Offset + data.Length > Content.Length)
            return Errno.ENOSPC;
        fixed (byte* from = data, to = scratch)
            OnWrite?.Invoke(position, (nint)from, (nint)to);
        // Whatever happens in the scratch memory, the request stays intact.
        scratch.Fill(0xEE);
        data.CopyTo(Content.AsSpan((int)position.Offset));
        count = data.Length;
        return Errno.None;
    }

    public override Errno Synchronize(in FuseRequest request, ulong handle, bool dataOnly)
    {
        Note($"fsync {handle} dataOnly={dataOnly}");
        return Errno.None;
    }

    public override Errno Allocate(in FuseRequest request, ulong handle, AllocateMode mode, long offset, long length, Span<byte> scratch)
    {
        Note($"fallocate {mode} {offset} {length}");
        return Errno.None;
    }

    public override Errno Seek(in FuseRequest request, ulong handle, SeekTarget target, long offset, out long found)
    {
        found = target == SeekTarget.Data ? offset + 10 : offset + 20;
        return Errno.None;
    }

    public override Errno ReadDirectory(in FuseRequest request, ulong handle, ulong cookie, ref DirectoryWriter writer)
    {
        for (ulong i = cookie; i < (ulong)others; i++)
        {
            var entry = new FuseEntry { NameValidity = Validity, Attributes = Describe(FirstOther + i) };
            if (!writer.TryAdd(System.Text.Encoding.UTF8.GetBytes(i.ToString(System.Globalization.CultureInfo.InvariantCulture)), i + 1, in entry))
                break;
        }
        return Errno.None;
    }

    public override Errno ChangeNamespace(in FuseRequest request, NamespaceChange change)
    {
        Note(change.ToString());
        return Errno.EPERM;
    }

    internal bool Saw(string call)
    {
        lock (Calls)
            return Calls.Contains(call);
    }

    private void Note(string call)
    {
        lock (Calls)
            Calls.Add(call);
    }

    private NodeAttributes Describe(ulong node) => new()
    {
        Node = node,
        Kind = node == RootNode ? FileKind.Directory : FileKind.RegularFile,
        Permissions = node == RootNode ? 0b111_101_101u : 0b110_110_110u,
        SizeBytes = node == DataNode ? Content.Length : 0,
        AllocatedBytes = node == DataNode ? 8192 : 0,
        Links = Links,
        Uid = 12,
        Gid = 34,
        TimeNs = 1_500_000_000_123_456_789,
        BlockSizeBytes = 4096,
        Validity = Validity,
    };
}
