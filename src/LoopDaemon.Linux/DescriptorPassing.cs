using System.Runtime.InteropServices;
using Mono.Unix.Native;

namespace LoopDaemon.Linux;

/// <summary>File descriptors that travel over a Unix stream socket beside its bytes (SCM_RIGHTS: unix(7), cmsg(3)).</summary>
public static class DescriptorPassing
{
    private const int CredentialBytes = 3 * sizeof(int);

    /// <summary>A connected pair of sockets (socketpair(2)), which a child process may inherit.</summary>
    /// <exception cref="LinuxException">No descriptor is left.</exception>
    public static (FileDescriptor Here, FileDescriptor There) CreatePair()
    {
        return Syscall.socketpair(UnixAddressFamily.AF_UNIX, UnixSocketType.SOCK_STREAM, 0, out int here, out int there) == 0
            ? (new FileDescriptor(here), new FileDescriptor(there))
            : throw new LinuxException(LastError.Get(), "cannot create a pair of sockets");
    }

    /// <summary>Sends some bytes, and all of the descriptors with the first of them; the caller keeps its own.</summary>
    /// <param name="socket">The number of a connected socket, which its owner keeps open meanwhile.</param>
    /// <param name="bytes">The bytes.</param>
    /// <param name="descriptors">The descriptors.</param>
    /// <param name="wait">Wait for room in the peer's queue; otherwise EAGAIN where there is none.</param>
    /// <param name="count">How many bytes were sent.</param>
    public static unsafe Errno Send(
        int socket, ReadOnlySpan<byte> bytes, ReadOnlySpan<FileDescriptor> descriptors, bool wait, out int count)
    {
        fixed (byte* start = bytes)
        {
            Msghdr message = Over((nint)start, bytes.Length);
            if (descriptors.Length > 0)
                AttachRights(message, descriptors);
            // MSG_NOSIGNAL: a peer that is gone is EPIPE here, not a signal to the whole process.
            MessageFlags flags = MessageFlags.MSG_NOSIGNAL | (wait ? 0 : MessageFlags.MSG_DONTWAIT);
            return Repeat(() => Syscall.sendmsg(socket, message, flags), out count);
        }
    }

    /// <summary>Receives some bytes, and the descriptors that came with them.</summary>
    /// <param name="socket">The number of a connected socket, which its owner keeps open meanwhile.</param>
    /// <param name="destination">Where the bytes go.</param>
    /// <param name="descriptors">Where the descriptors are added; they are close-on-exec and the caller's to close.</param>
    /// <param name="maxDescriptors">How many there is room for.</param>
    /// <param name="wait">Wait until something comes; otherwise EAGAIN where there is nothing.</param>
    /// <param name="count">How many bytes came; 0 at the end of the stream.</param>
    /// <param name="lost">There were more descriptors than room, or than this process may have open.</param>
    public static unsafe Errno Receive(
        int socket, Span<byte> destination, List<FileDescriptor> descriptors, int maxDescriptors, bool wait, out int count, out bool lost)
    {
        fixed (byte* start = destination)
        {
            Msghdr message = Over((nint)start, destination.Length);
            message.msg_control = new byte[Syscall.CMSG_SPACE((ulong)maxDescriptors * sizeof(int))];
            message.msg_controllen = message.msg_control.Length;
            MessageFlags flags = MessageFlags.MSG_CMSG_CLOEXEC | (wait ? 0 : MessageFlags.MSG_DONTWAIT);
            Errno error = Repeat(() => Syscall.recvmsg(socket, message, flags), out count);
            lost = error == Errno.None && message.msg_flags.HasFlag(MessageFlags.MSG_CTRUNC);
            if (error == Errno.None)
                TakeRights(message, descriptors);
            return error;
        }
    }

    /// <summary>Receives a datagram, with the descriptors that came with it, and who sent it: the socket has SO_PASSCRED.</summary>
    /// <param name="socket">The socket's number.</param>
    /// <param name="destination">Where the datagram goes.</param>
    /// <param name="descriptors">Where the descriptors are added; they are close-on-exec and the caller's to close.</param>
    /// <param name="maxDescriptors">How many there is room for; 0 has the kernel drop them all, which never waits for anybody, as
    /// to close them might.</param>
    /// <param name="stays">Only look at the datagram: it is the next one again.</param>
    /// <param name="count">The datagram's length in bytes.</param>
    /// <param name="userId">The sender's user as the kernel attests it; null where it does not.</param>
    /// <param name="lost">There were more descriptors than room, or than this process may have open.</param>
    /// <returns>EAGAIN where there is none.</returns>
    public static unsafe Errno ReceiveDatagram(
        int socket, Span<byte> destination, List<FileDescriptor> descriptors, int maxDescriptors, bool stays, out int count, out uint? userId, out bool lost)
    {
        (userId, lost) = (null, false);
        fixed (byte* start = destination)
        {
            Msghdr message = Over((nint)start, destination.Length);
            ulong rights = maxDescriptors > 0 ? Syscall.CMSG_SPACE((ulong)maxDescriptors * sizeof(int)) : 0;
            message.msg_control = new byte[rights + Syscall.CMSG_SPACE(CredentialBytes)];
            message.msg_controllen = message.msg_control.Length;
            MessageFlags flags = MessageFlags.MSG_CMSG_CLOEXEC | MessageFlags.MSG_DONTWAIT | (stays ? MessageFlags.MSG_PEEK : 0);
            Errno error = Repeat(() => Syscall.recvmsg(socket, message, flags), out count);
            if (error != Errno.None)
                return error;
            lost = message.msg_flags.HasFlag(MessageFlags.MSG_CTRUNC);
            TakeRights(message, descriptors);
            for (long at = Syscall.CMSG_FIRSTHDR(message); at >= 0; at = Syscall.CMSG_NXTHDR(message, at))
            {
                // struct ucred of unix(7): pid, uid, gid.
                var header = Cmsghdr.ReadFromBuffer(message, at);
                if (header.cmsg_level == UnixSocketProtocol.SOL_SOCKET && header.cmsg_type == UnixSocketControlMessage.SCM_CREDENTIALS)
                    userId = (uint)Numbers(message, at, CredentialBytes)[1];
            }
            return Errno.None;
        }
    }

    private static Msghdr Over(nint start, int length) => new()
    {
        msg_iov = [new Iovec { iov_base = start, iov_len = (ulong)length }],
        msg_iovlen = 1,
    };

    private static void AttachRights(Msghdr message, ReadOnlySpan<FileDescriptor> descriptors)
    {
        ulong bytes = (ulong)descriptors.Length * sizeof(int);
        message.msg_control = new byte[Syscall.CMSG_SPACE(bytes)];
        message.msg_controllen = message.msg_control.Length;
        new Cmsghdr
        {
            cmsg_len = (long)Syscall.CMSG_LEN(bytes),
            cmsg_level = UnixSocketProtocol.SOL_SOCKET,
            cmsg_type = UnixSocketControlMessage.SCM_RIGHTS,
        }.WriteToBuffer(message, 0);
        Span<int> numbers = Numbers(message, 0, (int)bytes);
        for (int i = 0; i < descriptors.Length; i++)
            numbers[i] = descriptors[i].Number;
    }

    private static void TakeRights(Msghdr message, List<FileDescriptor> descriptors)
    {
        for (long at = Syscall.CMSG_FIRSTHDR(message); at >= 0; at = Syscall.CMSG_NXTHDR(message, at))
        {
            var header = Cmsghdr.ReadFromBuffer(message, at);
            if (header.cmsg_level != UnixSocketProtocol.SOL_SOCKET || header.cmsg_type != UnixSocketControlMessage.SCM_RIGHTS)
                continue;
            foreach (int number in Numbers(message, at, (int)(header.cmsg_len - (long)Syscall.CMSG_LEN(0))))
                descriptors.Add(new FileDescriptor(number));
        }
    }

    private static Span<int> Numbers(Msghdr message, long header, int bytes) =>
        MemoryMarshal.Cast<byte, int>(message.msg_control.AsSpan((int)Syscall.CMSG_DATA(message, header), bytes));

    /// <summary>Makes a call again as long as signals interrupt it.</summary>
    private static Errno Repeat(Func<long> call, out int result)
    {
        while (true)
        {
            long value = call();
            // Mono.Posix keeps the number that the C library left behind, as any P/Invoke with SetLastError does.
            Errno error = value < 0 ? LastError.Get() : Errno.None;
            if (error == Errno.EINTR)
                continue;
            result = value < 0 ? 0 : (int)value;
            return error;
        }
    }
}
