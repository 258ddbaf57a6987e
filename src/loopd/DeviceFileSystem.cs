using System.Collections.Concurrent;
using LoopDaemon.Daemon.Survival;
using LoopDaemon.Devices;
using LoopDaemon.Fuse;
using LoopDaemon.Linux;

namespace LoopDaemon.Daemon;

/// <summary>The devices' FUSE face: one directory with a file for each device and each partition. An unbound device is an empty
/// file with no permission bits that cannot be opened (ENXIO); a bound one belongs to its binder.</summary>
internal sealed class DeviceFileSystem : FuseFileSystem
{
    private const uint DirectoryPermissions = 0b111_101_101;
    private const uint WriteBits = 0b010_010_010;
    private const ulong DotCookie = 1, DotDotCookie = 2;
    private static readonly TimeSpan NameValidity = TimeSpan.FromHours(1);

    /// <summary>Binding and clearing invalidate what the kernel holds; this bounds the one case that slips through, a lookup
    /// answered just before the bind for a node that the kernel did not know yet.</summary>
    private static readonly TimeSpan AttributeValidity = TimeSpan.FromSeconds(1);

    private readonly DeviceTable _table;
    private readonly KernelPassthrough _passthrough;
    private readonly ConcurrentDictionary<ulong, IoMode> _modes = new();
    private OpenLedger _ledger = null!;
    private readonly long _startedAtNs = (DateTime.UtcNow - DateTime.UnixEpoch).Ticks * 100;
    private readonly uint _daemonUid = Credentials.UserId;
    private readonly uint _daemonGid = Credentials.GroupId;

    public DeviceFileSystem(DeviceTable table, KernelPassthrough passthrough)
    {
        _table = table;
        _passthrough = passthrough;
    }

    /// <summary>Is told what INIT settles, before it is answered.</summary>
    internal Action<FuseNegotiation>? Negotiated { get; set; }

    /// <inheritdoc/>
    public override void Initialized(FuseConnection connection, FuseNegotiation negotiation) => Negotiated?.Invoke(negotiation);

    /// <summary>Begins to count what is open; to be called before the first request.</summary>
    /// <param name="ledger">The counts, perhaps those of the last daemon.</param>
    /// <param name="isSameMount">Whether the mount is that daemon's too. Otherwise what was open is not any more.</param>
    internal void CountIn(OpenLedger ledger, bool isSameMount)
    {
        _ledger = ledger;
        if (!isSameMount)
            return;
        foreach ((int entry, ulong node, OpenCounts counts) in ledger.Open)
        {
            _modes[node] = IoMode.Resume(_passthrough, ledger, node, entry, in counts);
            if (Device(node) is not { } device)
                continue;
            device.Resume(NodeNumbers.PartitionOf(node), counts.Total);
            if (counts.Passed > 0)
                device.Binding?.ResumePassthrough();
        }
    }

    /// <inheritdoc/>
    public override Errno Lookup(in FuseRequest request, ReadOnlySpan<byte> name, ref FuseEntry entry)
    {
        if (request.Node != RootNode)
            return Errno.ENOTDIR;
        return DeviceFileName.TryParse(name, out int number, out int partition)
            && _table.Find(number) is { } device && TryEnter(device, partition, out entry)
            ? Errno.None : Errno.ENOENT;
    }

    /// <inheritdoc/>
    public override Errno GetAttributes(in FuseRequest request, ref NodeAttributes attributes)
    {
        if (request.Node == RootNode)
        {
            attributes = Root();
            return Errno.None;
        }
        return Device(request.Node) is { } device && TryDescribe(device, NodeNumbers.PartitionOf(request.Node), out attributes)
            ? Errno.None : Errno.ENOENT;
    }

    /// <summary>A device keeps its size, owner and mode; times are taken and forgotten, as touch(1) does no harm.</summary>
    public override Errno SetAttributes(in FuseRequest request, in AttributeChange change, ref NodeAttributes attributes)
    {
        if (GetAttributes(in request, ref attributes) is var error and not Errno.None)
            return error;
        bool same = (change.SizeBytes ?? attributes.SizeBytes) == attributes.SizeBytes
            && (change.Permissions ?? attributes.Permissions) == attributes.Permissions
            && (change.Uid ?? attributes.Uid) == attributes.Uid
            && (change.Gid ?? attributes.Gid) == attributes.Gid;
        return same ? Errno.None : Errno.EPERM;
    }

    /// <inheritdoc/>
    public override Errno Open(in FuseRequest request, OpenFlags flags, ref OpenReply reply)
    {
        if (Device(request.Node) is not { } device)
            return NotADevice(request.Node);
        int partition = NodeNumbers.PartitionOf(request.Node);
        if (_ledger.IsCounted(in request, out OpenModes counted, out int backingId))
        {
            // What the page cache holds is of another daemon's time.
            (reply.Modes, reply.BackingId) = (counted & ~OpenModes.KeepCache, backingId);
            reply.Handle = NodeNumbers.Handle(request.Node, reply.Modes);
            return Errno.None;
        }
        bool writes = (flags & OpenFlags.AccessMode) != OpenFlags.ReadOnly;
        Errno error = device.Open(partition, writes);
        if (error != Errno.None)
            return error;
        bool wantsDirect = (flags & FileDescriptor.Direct) != 0;
        bool truncates = (flags & OpenFlags.Truncate) != 0;
        error = ModeOf(request.Node).TryOpen(in request, device, partition, wantsDirect, writes, truncates, ref reply);
        if (error != Errno.None)
        {
            device.Close(partition);
            return error;
        }
        // The kernel caches a partition and the whole device apart from each other. As with its own block devices, whoever
        // opens one sees what was written through the other before.
        if (device.Binding is { Partitions.Count: > 0 })
            reply.Modes &= ~OpenModes.KeepCache;
        reply.Handle = NodeNumbers.Handle(request.Node, reply.Modes);
        return Errno.None;
    }

    /// <inheritdoc/>
    public override void Release(in FuseRequest request, ulong handle, OpenFlags flags)
    {
        if (Device(request.Node) is not { } device)
            return;
        int partition = NodeNumbers.PartitionOf(request.Node);
        // Counted by a daemon that may not have lived to do what hangs on the last close.
        if (_ledger.IsCounted(in request, out _, out _))
            device.Resume(partition, 1);
        else if (_modes.TryGetValue(request.Node, out IoMode? mode))
            mode.Close(in request, device, NodeNumbers.ModesOf(handle));
        device.Close(partition);
    }

    /// <inheritdoc/>
    public override Errno Read(in FuseRequest request, in FilePosition position, Span<byte> destination, out int count)
    {
        count = 0;
        return Device(request.Node) is { } device ? device.Read(NodeNumbers.PartitionOf(request.Node), position.Offset, destination, out count) : NotADevice(request.Node);
    }

    /// <inheritdoc/>
    public override Errno Write(in FuseRequest request, in FilePosition position, ReadOnlySpan<byte> data, Span<byte> scratch, out int count)
    {
        count = 0;
        if (Device(request.Node) is not { } device)
            return NotADevice(request.Node);
        // With direct I/O the kernel leaves O_SYNC and O_DSYNC to the file system.
        bool durable = (position.Flags & OpenFlags.DataSync) != 0;
        return device.Write(NodeNumbers.PartitionOf(request.Node), position.Offset, data, scratch, durable, out count);
    }

    /// <inheritdoc/>
    public override Errno Synchronize(in FuseRequest request, ulong handle, bool dataOnly) =>
        Device(request.Node)?.Flush() ?? NotADevice(request.Node);

    /// <inheritdoc/>
    public override Errno Allocate(in FuseRequest request, ulong handle, AllocateMode mode, long offset, long length, Span<byte> scratch)
    {
        if (Device(request.Node) is not { } device)
            return NotADevice(request.Node);
        int partition = NodeNumbers.PartitionOf(request.Node);
        if (mode == (AllocateMode.PunchHole | AllocateMode.KeepSize))
            return device.Discard(partition, offset, length);
        if ((mode & ~AllocateMode.KeepSize) != AllocateMode.ZeroRange)
            return Errno.EOPNOTSUPP;
        return mode == AllocateMode.ZeroRange && length > device.LengthOf(partition) - offset
            ? Errno.ENOSPC : device.WriteZeroes(partition, offset, length, scratch);
    }

    /// <inheritdoc/>
    public override Errno Seek(in FuseRequest request, ulong handle, SeekTarget target, long offset, out long found)
    {
        found = 0;
        return Device(request.Node) is { } device ? device.Seek(NodeNumbers.PartitionOf(request.Node), target, offset, out found) : Errno.EINVAL;
    }

    /// <inheritdoc/>
    public override Errno GetStatistics(in FuseRequest request, ref FileSystemStatistics statistics)
    {
        statistics.BlockSizeBytes = 4096;
        statistics.NameLength = 255;
        statistics.Files = (ulong)_table.Devices.Sum(device => 1 + (device.Binding?.Partitions.Count ?? 0));
        return Errno.None;
    }

    /// <inheritdoc/>
    public override Errno ReadDirectory(in FuseRequest request, ulong handle, ulong cookie, ref DirectoryWriter writer)
    {
        if (request.Node != RootNode)
            return Errno.ENOTDIR;
        var root = new FuseEntry { Attributes = Root() };
        if (cookie < DotCookie && !writer.TryAdd("."u8, DotCookie, in root))
            return Errno.None;
        if (cookie < DotDotCookie && !writer.TryAdd(".."u8, DotDotCookie, in root))
            return Errno.None;

        // The other cookies are node ids: a listing goes on behind the last one, whatever has come and gone since.
        ulong next = Math.Max(cookie + 1, NodeNumbers.FirstDevice);
        for (int number = (int)NodeNumbers.DeviceOf(next); number < _table.End; number++)
        {
            if (_table.Find(number) is { } device && !TryList(device, next, ref writer))
                break;
        }
        return Errno.None;
    }

    /// <summary>Lists a device and its partitions from a node id on.</summary>
    /// <returns>False when the writer is full.</returns>
    private bool TryList(LoopDevice device, ulong from, ref DirectoryWriter writer)
    {
        if (from <= NodeNumbers.Of(device.Number) && !TryList(device, 0, ref writer))
            return false;
        foreach (DevicePartition partition in device.Binding?.Partitions ?? [])
        {
            if (from <= NodeNumbers.Of(device.Number, partition.Number) && !TryList(device, partition.Number, ref writer))
                return false;
        }
        return true;
    }

    private bool TryList(LoopDevice device, int partition, ref DirectoryWriter writer)
    {
        Span<byte> name = stackalloc byte[DeviceFileName.MaxBytes];
        name = name[..DeviceFileName.Write(device.Number, partition, name)];
        // A partition that goes this moment is left out.
        return !TryEnter(device, partition, out FuseEntry entry) || writer.TryAdd(name, NodeNumbers.Of(device.Number, partition), in entry);
    }

    /// <summary>The daemon alone decides what is in the directory.</summary>
    public override Errno ChangeNamespace(in FuseRequest request, NamespaceChange change) => Errno.EPERM;

    private IoMode ModeOf(ulong node) => _modes.GetOrAdd(node, static (node, self) => new IoMode(self._passthrough, self._ledger, node), this);

    private LoopDevice? Device(ulong node) => _table.Find(NodeNumbers.DeviceOf(node));

    /// <summary>The error of an operation on a file that is none: the directory, or a device that was removed this moment.</summary>
    private static Errno NotADevice(ulong node) => node == RootNode ? Errno.EISDIR : Errno.ENXIO;

    private bool TryEnter(LoopDevice device, int partition, out FuseEntry entry)
    {
        bool found = TryDescribe(device, partition, out NodeAttributes attributes);
        // Names that come and go the kernel asks for each time. Telling it instead takes its lock on the directory, which whoever
        // looks a name up holds until this daemon answers: one killed in that moment would linger until its successor does.
        bool stays = partition == 0 && device.Number < _table.MaxLoop;
        entry = new FuseEntry { NameValidity = stays ? NameValidity : TimeSpan.Zero, Attributes = attributes };
        return found;
    }

    private NodeAttributes Root() => new()
    {
        Node = RootNode,
        Kind = FileKind.Directory,
        Permissions = DirectoryPermissions,
        Links = 2,
        Uid = _daemonUid,
        Gid = _daemonGid,
        TimeNs = _startedAtNs,
        BlockSizeBytes = 4096,
        Validity = NameValidity,
    };

    /// <returns>False where there is no such partition.</returns>
    private bool TryDescribe(LoopDevice device, int partition, out NodeAttributes attributes)
    {
        attributes = new NodeAttributes
        {
            Node = NodeNumbers.Of(device.Number, partition),
            Kind = FileKind.RegularFile,
            Links = 1,
            BlockSizeBytes = 4096,
            Uid = _daemonUid,
            Gid = _daemonGid,
            TimeNs = _startedAtNs,
            Validity = AttributeValidity,
        };
        if (device.Binding is not { } binding)
            return partition == 0;
        if (partition != 0 && binding.FindPartition(partition) is null)
            return false;
        attributes.Permissions = binding.IsReadOnly ? binding.Permissions & ~WriteBits : binding.Permissions;
        attributes.SizeBytes = attributes.AllocatedBytes = binding.LengthOf(partition);
        attributes.Uid = binding.OwnerUid;
        attributes.Gid = binding.OwnerGid;
        attributes.TimeNs = binding.BoundAtNs;
        return true;
    }
}
