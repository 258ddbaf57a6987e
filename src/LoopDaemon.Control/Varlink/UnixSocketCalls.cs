using System.Net.Sockets;
using System.Runtime.InteropServices;
using Mono.Unix.Native;
using Errno = LoopDaemon.Linux.Errno;

namespace LoopDaemon.Control.Varlink;

/// <summary>Waits and connects that give the plain errno, which System.Net.Sockets does not.</summary>
internal static class UnixSocketCalls
{
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

    internal static int Number(Socket socket) => (int)socket.Handle;
}
