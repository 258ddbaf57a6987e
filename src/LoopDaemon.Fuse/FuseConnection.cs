using System.Runtime.InteropServices;
using LoopDaemon.Fuse.Wire;
using LoopDaemon.Linux;

namespace LoopDaemon.Fuse;

/// <summary>The kernel's end of a mount: an open <c>/dev/fuse</c>, the notifications that go to it and its ioctls.
/// Notifications may be sent from any thread but one of the server's in the middle of a request: the kernel may wait for
/// pages that only these can bring.</summary>
public sealed class FuseConnection : IDisposable
{
    private const uint CloneIoctl = 0x8004E500;
    private const uint BackingOpenIoctl = 0x4010E501;
    private const uint BackingCloseIoctl = 0x4004E502;

    /// <summary>Takes ownership of an open <c>/dev/fuse</c> that belongs to a mount.</summary>
    public FuseConnection(FileDescriptor device) => Device = device;

    /// <summary>The open <c>/dev/fuse</c>.</summary>
    public FileDescriptor Device { get; }

    /// <summary>Whether there still is a mount at the other end.</summary>
    public bool IsAlive => !Device.HasFailed;

    /// <summary>Whether a request waits to be read.</summary>
    public bool HasRequest => Device.WaitReadable(TimeSpan.Zero) == Errno.None && IsAlive;

    /// <summary>Drops a node's cached attributes and a range of its cached data (FUSE_NOTIFY_INVAL_INODE).</summary>
    /// <param name="node">The node.</param>
    /// <param name="offset">The first byte; negative drops the attributes only.</param>
    /// <param name="length">How many bytes; 0 means all from the offset on.</param>
    /// <returns>None also where the kernel does not know the node, and so has nothing to drop.</returns>
    public Errno InvalidateNode(ulong node, long offset = 0, long length = 0)
    {
        var notification = new NotifyInvalidateInode
        {
            Header = Notification(NotifyCode.InvalidateInode, Marshal.SizeOf<NotifyInvalidateInode>()),
            Node = node,
            Offset = offset,
            Length = length,
        };
        return IgnoreUnknown(Send(MemoryMarshal.AsBytes(new ReadOnlySpan<NotifyInvalidateInode>(in notification))));
    }

    /// <summary>Drops a cached name (FUSE_NOTIFY_INVAL_ENTRY).</summary>
    /// <param name="parent">The directory.</param>
    /// <param name="name">The name, UTF-8, at most 255 bytes.</param>
    public Errno InvalidateEntry(ulong parent, ReadOnlySpan<byte> name)
    {
        Span<byte> notification = stackalloc byte[NotifyInvalidateEntry.Size + name.Length + 1];
        var head = new NotifyInvalidateEntry
        {
            Header = Notification(NotifyCode.InvalidateEntry, notification.Length),
            Parent = parent,
            NameLength = (uint)name.Length,
        };
        MemoryMarshal.Write(notification, in head);
        name.CopyTo(notification[NotifyInvalidateEntry.Size..]);
        notification[^1] = 0;
        return IgnoreUnknown(Send(notification));
    }

    /// <summary>Asks for all requests that were read and never answered (FUSE_NOTIFY_RESEND, Linux 6.9). To be sent once,
    /// by a new daemon, before any thread reads.</summary>
    public Errno Resend()
    {
        OutHeader header = Notification(NotifyCode.Resend, OutHeader.Size);
        return Send(MemoryMarshal.AsBytes(new ReadOnlySpan<OutHeader>(in header)));
    }

    /// <summary>Opens a second descriptor of the same connection (FUSE_DEV_IOC_CLONE). A request that was read on a clone
    /// must be answered on it.</summary>
    /// <exception cref="LinuxException">The kernel refuses.</exception>
    public FileDescriptor Clone()
    {
        FileDescriptor clone = FileDescriptor.Open("/dev/fuse", OpenFlags.ReadWrite);
        uint original = (uint)Device.Number;
        Errno error = clone.Control(CloneIoctl, ref original, out _);
        if (error == Errno.None)
            return clone;
        clone.Dispose();
        throw new LinuxException(error, "cannot clone the FUSE connection");
    }

    /// <summary>Registers a backing file for passthrough (FUSE_DEV_IOC_BACKING_OPEN, Linux 6.9, CAP_SYS_ADMIN).</summary>
    /// <param name="file">An open regular file; the kernel keeps it until <see cref="CloseBacking"/>.</param>
    /// <param name="backingId">The id for <see cref="OpenReply.BackingId"/>.</param>
    /// <returns>EPERM without the right, ELOOP where the file lies on a stacked file system, EINVAL for a block device.</returns>
    public Errno OpenBacking(FileDescriptor file, out int backingId)
    {
        var map = new BackingMap { Fd = file.Number };
        return Device.Control(BackingOpenIoctl, ref map, out backingId);
    }

    /// <summary>Gives a backing id back; files that are open with it keep working.</summary>
    public Errno CloseBacking(int backingId) => Device.Control(BackingCloseIoctl, ref backingId, out _);

    /// <inheritdoc/>
    public void Dispose() => Device.Dispose();

    private static OutHeader Notification(NotifyCode code, int length) =>
        new() { Length = (uint)length, Error = (int)code, Unique = 0 };

    private static Errno IgnoreUnknown(Errno error) => error == Errno.ENOENT ? Errno.None : error;

    private Errno Send(ReadOnlySpan<byte> notification) => Device.Write(notification, out _);
}
