using System.Globalization;
using System.Text;
using LoopDaemon.Devices;
using LoopDaemon.Fuse;
using LoopDaemon.Linux;

namespace LoopDaemon.Daemon;

/// <summary>The devices' FUSE face: one directory with a file for each device. An unbound device is an empty file with no
/// permission bits that cannot be opened (ENXIO); a bound one belongs to its binder.</summary>
internal sealed class DeviceFileSystem : FuseFileSystem
{
    private const uint DirectoryPermissions = 0b111_101_101;
    private const uint OwnerRead = 0b100_000_000, OwnerWrite = 0b010_000_000;
    private const ulong FirstDeviceCookie = 2;
    private static readonly TimeSpan NameValidity = TimeSpan.FromHours(1);

    /// <summary>Binding and clearing invalidate what the kernel holds; this bounds the one case that slips through, a lookup
    /// answered just before the bind for a node that the kernel did not know yet.</summary>
    private static readonly TimeSpan AttributeValidity = TimeSpan.FromSeconds(1);

    private readonly DeviceTable _table;
    private readonly CacheMode[] _cacheModes;
    private readonly long _startedAtNs = (DateTime.UtcNow - DateTime.UnixEpoch).Ticks * 100;
    private readonly uint _daemonUid = Credentials.UserId;
    private readonly uint _daemonGid = Credentials.GroupId;

    public DeviceFileSystem(DeviceTable table)
    {
        _table = table;
        _cacheModes = [.. table.Devices.Select(_ => new CacheMode())];
    }

    /// <inheritdoc/>
    public override Errno Lookup(in FuseRequest request, ReadOnlySpan<byte> name, ref FuseEntry entry)
    {
        if (request.Node != RootNode)
            return Errno.ENOTDIR;
        if (Named(name) is not { } device)
            return Errno.ENOENT;
        entry = Entry(device);
        return Errno.None;
    }

    /// <inheritdoc/>
    public override Errno GetAttributes(in FuseRequest request, ref NodeAttributes attributes)
    {
        if (request.Node == RootNode)
        {
            attributes = Root();
            return Errno.None;
        }
        if (Device(request.Node) is not { } device)
            return Errno.ENOENT;
        attributes = Describe(device);
        return Errno.None;
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
            return Errno.EISDIR;
        bool writes = (flags & OpenFlags.AccessMode) != OpenFlags.ReadOnly;
        Errno error = device.Open(writes);
        if (error != Errno.None)
            return error;
        bool wantsDirect = (flags & FileDescriptor.Direct) != 0;
        bool truncates = (flags & OpenFlags.Truncate) != 0;
        if (!_cacheModes[device.Number].TryOpen(wantsDirect, writes, truncates, out OpenModes modes))
        {
            device.Close();
            return Errno.EBUSY;
        }
        reply.Modes = modes;
        reply.Handle = NodeNumbers.Handle(request.Node, (modes & OpenModes.DirectIo) != 0);
        return Errno.None;
    }

    /// <inheritdoc/>
    public override void Release(in FuseRequest request, ulong handle, OpenFlags flags)
    {
        if (Device(request.Node) is not { } device)
            return;
        _cacheModes[device.Number].Close(NodeNumbers.IsDirectIo(handle));
        device.Close();
    }

    /// <inheritdoc/>
    public override Errno Read(in FuseRequest request, in FilePosition position, Span<byte> destination, out int count)
    {
        count = 0;
        return Device(request.Node) is { } device ? device.Read(position.Offset, destination, out count) : Errno.EISDIR;
    }

    /// <inheritdoc/>
    public override Errno Write(in FuseRequest request, in FilePosition position, ReadOnlySpan<byte> data, Span<byte> scratch, out int count)
    {
        count = 0;
        if (Device(request.Node) is not { } device)
            return Errno.EISDIR;
        Errno error = device.Write(position.Offset, data, scratch, out count);
        // With direct I/O the kernel leaves O_SYNC and O_DSYNC to the file system.
        if (error == Errno.None && (position.Flags & OpenFlags.DataSync) != 0)
            error = device.Flush();
        return error;
    }

    /// <inheritdoc/>
    public override Errno Synchronize(in FuseRequest request, ulong handle, bool dataOnly) =>
        Device(request.Node)?.Flush() ?? Errno.EISDIR;

    /// <inheritdoc/>
    public override Errno Allocate(in FuseRequest request, ulong handle, AllocateMode mode, long offset, long length, Span<byte> scratch)
    {
        if (Device(request.Node) is not { } device)
            return Errno.EISDIR;
        if (mode == (AllocateMode.PunchHole | AllocateMode.KeepSize))
            return device.Discard(offset, length);
        if ((mode & ~AllocateMode.KeepSize) != AllocateMode.ZeroRange)
            return Errno.EOPNOTSUPP;
        long end = device.Binding?.Store.Length ?? 0;
        return mode == AllocateMode.ZeroRange && length > end - offset
            ? Errno.ENOSPC : device.WriteZeroes(offset, length, scratch);
    }

    /// <inheritdoc/>
    public override Errno Seek(in FuseRequest request, ulong handle, SeekTarget target, long offset, out long found)
    {
        found = 0;
        return Device(request.Node) is { } device ? device.Seek(target, offset, out found) : Errno.EINVAL;
    }

    /// <inheritdoc/>
    public override Errno GetStatistics(in FuseRequest request, ref FileSystemStatistics statistics)
    {
        statistics.BlockSizeBytes = 4096;
        statistics.NameLength = 255;
        statistics.Files = (ulong)_table.Devices.Count;
        return Errno.None;
    }

    /// <inheritdoc/>
    public override Errno ReadDirectory(in FuseRequest request, ulong handle, ulong cookie, ref DirectoryWriter writer)
    {
        if (request.Node != RootNode)
            return Errno.ENOTDIR;
        var root = new FuseEntry { Attributes = Root() };
        if (cookie == 0 && !writer.TryAdd("."u8, 1, in root))
            return Errno.None;
        if (cookie <= 1 && !writer.TryAdd(".."u8, FirstDeviceCookie, in root))
            return Errno.None;

        Span<byte> name = stackalloc byte[16];
        for (ulong at = Math.Max(cookie, FirstDeviceCookie); at - FirstDeviceCookie < (ulong)_table.Devices.Count; at++)
        {
            LoopDevice device = _table.Devices[(int)(at - FirstDeviceCookie)];
            int length = Encoding.UTF8.GetBytes(device.Name, name);
            if (!writer.TryAdd(name[..length], at + 1, Entry(device)))
                break;
        }
        return Errno.None;
    }

    /// <summary>The daemon alone decides what is in the directory.</summary>
    public override Errno ChangeNamespace(in FuseRequest request, NamespaceChange change) => Errno.EPERM;

    private LoopDevice? Device(ulong node) => _table.Find(NodeNumbers.DeviceOf(node));

    private LoopDevice? Named(ReadOnlySpan<byte> name)
    {
        if (!name.StartsWith("loop"u8))
            return null;
        ReadOnlySpan<byte> digits = name["loop"u8.Length..];
        // One name for each device: no sign, no leading zero.
        bool plain = digits.Length == 1 || (digits.Length is > 1 and < 8 && digits[0] != '0');
        return plain && int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? _table.Find(number) : null;
    }

    private FuseEntry Entry(LoopDevice device) => new() { NameValidity = NameValidity, Attributes = Describe(device) };

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

    private NodeAttributes Describe(LoopDevice device)
    {
        var attributes = new NodeAttributes
        {
            Node = NodeNumbers.Of(device.Number),
            Kind = FileKind.RegularFile,
            Links = 1,
            BlockSizeBytes = 4096,
            Uid = _daemonUid,
            Gid = _daemonGid,
            TimeNs = _startedAtNs,
            Validity = AttributeValidity,
        };
        if (device.Binding is { } binding)
        {
            attributes.Permissions = binding.IsReadOnly ? OwnerRead : OwnerRead | OwnerWrite;
            attributes.SizeBytes = attributes.AllocatedBytes = binding.Store.Length;
            attributes.Uid = binding.OwnerUid;
            attributes.Gid = binding.OwnerGid;
            attributes.TimeNs = binding.BoundAtNs;
        }
        return attributes;
    }
}
