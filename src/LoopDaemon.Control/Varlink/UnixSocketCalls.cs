using System.Net.Sockets;
using System.Runtime.InteropServices;
using LoopDaemon.Linux;
using Mono.Unix.Native;
using Errno = LoopDaemon.Linux.Errno;

namespace LoopDaemon.Control.Varlink;

/// <summary>The system calls that System.Net.Sockets does not offer: messages with descriptors (unix(7), cmsg(3)), and
/// waits and connects that give the plain errno. None of them blocks except <see cref="Wait"/> and
/// <see cref="Connect"/>.</summary>
internal static class UnixSocketCalls
{
    /// <summary>Sends some bytes, and all of the descriptors with the first of them.</summary>
    /// <returns><see cref="Errno.EAGAIN"/> when the peer's queue is full.</returns>
    internal static unsafe Errno Send(
        Socket socket, ReadOnlySpan<byte> bytes, ReadOnlySpan<FileDescriptor> descriptors, out int count)
    {
        fixed (byte* start = bytes)
        {
            var message = new Msghdr
            {
                msg_iov = [new Iovec { iov_base = (nint)start, iov_len = (ulong)bytes.Length }],
                msg_iovlen = 1,
            };
            if (descriptors.Length > 0)
                AttachRights(message, descriptors);
            // MSG_NOSIGNAL: a peer that is gone is EPIPE here, not a signal to the whole process.
            return Repeat(() => Syscall.sendmsg(Number(socket), message, MessageFlags.MSG_NOSIGNAL | MessageFlags.MSG_DONTWAIT), out count);
        }
    }

    /// <summary>Receives some bytes, and the descriptors that came with them.</summary>
    /// <param name="socket">A connected socket.</param>
    /// <param name="destination">Where the bytes go.</param>
    /// <param name="descriptors">Where the descriptors are added; they are close-on-exec and the caller's to close.</param>
    /// <param name="maxDescriptors">How many there is room for.</param>
    /// <param name="count">How many bytes came; 0 at the end of the stream.</param>
    /// <param name="lost">There were more descriptors than room, or than this process may have open.</param>
    /// <returns><see cref="Errno.EAGAIN"/> when there is nothing.</returns>
    internal static unsafe Errno Receive(
        Socket socket, Span<byte> destination, List<FileDescriptor> descriptors, int maxDescriptors, out int count, out bool lost)
    {
        fixed (byte* start = destination)
        {
            byte[] control = new byte[Syscall.CMSG_SPACE((ulong)maxDescriptors * sizeof(int))];
            var message = new Msghdr
            {
                msg_iov = [new Iovec { iov_base = (nint)start, iov_len = (ulong)destination.Length }],
                msg_iovlen = 1,
                msg_control = control,
                msg_controllen = control.Length,
            };
            Errno error = Repeat(
                () => Syscall.recvmsg(Number(socket), message, MessageFlags.MSG_CMSG_CLOEXEC | MessageFlags.MSG_DONTWAIT), out count);
            lost = error == Errno.None && message.msg_flags.HasFlag(MessageFlags.MSG_CTRUNC);
            if (error == Errno.None)
                TakeRights(message, descriptors);
            return error;
        }
    }

    /// <summary>Waits until a call will not block, or the time is up (<see cref="Errno.ETIMEDOUT"/>).</summary>
    internal static Errno Wait(Socket socket, PollEvents events, Deadline deadline)
    {
        Pollfd[] poll = [new Pollfd { fd = Number(socket), events = events }];
        Errno error = Repeat(() => Syscall.poll(poll, deadline.RemainingMilliseconds), out int ready);
        return error == Errno.None && ready == 0 ? Errno.ETIMEDOUT : error;
    }

    /// <summary>connect(2) to a path; it waits, within the socket's send time-out, while the listener's queue is full.</summary>
    internal static Errno Connect(Socket socket, string path) =>
        Repeat(() => Syscall.connect(Number(socket), new SockaddrUn(path)), out _);

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
        Span<int> numbers = MemoryMarshal.Cast<byte, int>(message.msg_control.AsSpan((int)Syscall.CMSG_DATA(message, 0), (int)bytes));
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
            int bytes = (int)(header.cmsg_len - (long)Syscall.CMSG_LEN(0));
            foreach (int number in MemoryMarshal.Cast<byte, int>(message.msg_control.AsSpan((int)Syscall.CMSG_DATA(message, at), bytes)))
                descriptors.Add(new FileDescriptor(number));
        }
    }

    /// <summary>Makes a call again as long as signals interrupt it.</summary>
    private static Errno Repeat(Func<long> call, out int result)
    {
        while (true)
        {
            long value = call();
            // Mono.Posix keeps the number that the C library left behind, as any P/Invoke with SetLastError does.
            Errno error = value < 0 ? (Errno)Marshal.GetLastPInvokeError() : Errno.None;
            if (error == Errno.EINTR)
                continue;
            result = value < 0 ? 0 : (int)value;
            return error;
        }
    }

    private static int Number(Socket socket) => (int)socket.Handle;
}
