using Mono.Unix.Native;

namespace LoopDaemon.Linux;

/// <summary>File descriptors that travel over a Unix socket beside its bytes (SCM_RIGHTS, unix(7)).</summary>
public static class DescriptorPassing
{
    /// <summary>A connected pair of stream sockets (socketpair(2)), which a child process may inherit.</summary>
    /// <exception cref="LinuxException">No descriptor is left.</exception>
    public static (FileDescriptor Here, FileDescriptor There) CreatePair()
    {
        if (Syscall.socketpair(UnixAddressFamily.AF_UNIX, UnixSocketType.SOCK_STREAM, 0, out int here, out int there) != 0)
            throw new LinuxException((Errno)Stdlib.GetLastError(), "cannot create a pair of sockets");
        return (new FileDescriptor(here), new FileDescriptor(there));
    }

    /// <summary>Receives bytes, and the descriptors that came with them, close-on-exec.</summary>
    /// <param name="socket">A Unix stream socket.</param>
    /// <param name="destination">Where the bytes go.</param>
    /// <param name="count">How many came; 0 is the end of the stream.</param>
    /// <param name="descriptors">Filled up; the caller owns what is in it.</param>
    /// <param name="maxDescriptors">More of them than this in one message is EMSGSIZE, and all are closed.</param>
    public static unsafe Errno Receive(
        FileDescriptor socket, Span<byte> destination, out int count, ICollection<FileDescriptor> descriptors, int maxDescriptors)
    {
        fixed (byte* buffer = destination)
        {
            var message = new Msghdr
            {
                msg_iov = [new Iovec { iov_base = (nint)buffer, iov_len = (ulong)destination.Length }],
                msg_iovlen = 1,
                msg_control = new byte[Syscall.CMSG_SPACE((ulong)maxDescriptors * sizeof(int))],
            };
            message.msg_controllen = message.msg_control.Length;
            long received = Syscall.recvmsg(socket.Number, message, MessageFlags.MSG_CMSG_CLOEXEC);
            if (received < 0)
            {
                count = 0;
                return (Errno)Stdlib.GetLastError();
            }
            count = (int)received;
            return Collect(message, descriptors);
        }
    }

    /// <summary>Sends bytes, with descriptors beside the first of them; the caller keeps its own.</summary>
    /// <returns>The result and how many bytes were sent; the descriptors went along if any byte did.</returns>
    public static unsafe Errno Send(
        FileDescriptor socket, ReadOnlySpan<byte> source, ReadOnlySpan<int> descriptors, out int count)
    {
        fixed (byte* buffer = source)
        {
            var message = new Msghdr
            {
                msg_iov = [new Iovec { iov_base = (nint)buffer, iov_len = (ulong)source.Length }],
                msg_iovlen = 1,
            };
            if (descriptors.Length > 0)
            {
                int dataBytes = descriptors.Length * sizeof(int);
                message.msg_control = new byte[Syscall.CMSG_SPACE((ulong)dataBytes)];
                message.msg_controllen = message.msg_control.Length;
                var header = new Cmsghdr
                {
                    cmsg_len = (long)Syscall.CMSG_LEN((ulong)dataBytes),
                    cmsg_level = UnixSocketProtocol.SOL_SOCKET,
                    cmsg_type = UnixSocketControlMessage.SCM_RIGHTS,
                };
                header.WriteToBuffer(message, 0);
                int at = (int)Syscall.CMSG_DATA(message, 0);
                System.Runtime.InteropServices.MemoryMarshal.AsBytes(descriptors).CopyTo(message.msg_control.AsSpan(at, dataBytes));
            }
            long sent = Syscall.sendmsg(socket.Number, message, MessageFlags.MSG_NOSIGNAL);
            count = sent < 0 ? 0 : (int)sent;
            return sent < 0 ? (Errno)Stdlib.GetLastError() : Errno.None;
        }
    }

    private static Errno Collect(Msghdr message, ICollection<FileDescriptor> descriptors)
    {
        bool truncated = (message.msg_flags & MessageFlags.MSG_CTRUNC) != 0;
        for (long at = Syscall.CMSG_FIRSTHDR(message); at >= 0; at = Syscall.CMSG_NXTHDR(message, at))
        {
            Cmsghdr header = Cmsghdr.ReadFromBuffer(message, at);
            if (header.cmsg_level != UnixSocketProtocol.SOL_SOCKET || header.cmsg_type != UnixSocketControlMessage.SCM_RIGHTS)
                continue;
            long data = Syscall.CMSG_DATA(message, at);
            long end = at + header.cmsg_len;
            for (; data + sizeof(int) <= end; data += sizeof(int))
            {
                var descriptor = new FileDescriptor(BitConverter.ToInt32(message.msg_control, (int)data));
                if (truncated)
                    descriptor.Dispose();
                else
                    descriptors.Add(descriptor);
            }
        }
        return truncated ? Errno.EMSGSIZE : Errno.None;
    }
}
