using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using LoopDaemon.Linux;

namespace LoopDaemon.Daemon.Tests;

/// <summary>Sends to a notification socket as another user. Linux keeps users by thread (setresuid(2)); it is the C library that
/// changes all threads of a process.</summary>
internal static partial class AsSomebodyElse
{
    private const uint Nobody = 65534;

    internal static void Send(string address, string assignments, FileDescriptor? descriptor)
    {
        // Not what a send ends with: the thread may not get there.
        Errno error = Errno.EPERM;
        Run(socket => error = DescriptorPassing.Send(socket, Encoding.UTF8.GetBytes(assignments), descriptor is null ? [] : [descriptor], wait: true, out _), address).Join();
        Assert.Equal(Errno.None, error);
    }

    /// <summary>Sends without a pause, until it is stopped.</summary>
    internal static Thread Flood(string address, CancellationToken stop) => Run(socket =>
    {
        while (!stop.IsCancellationRequested)
            DescriptorPassing.Send(socket, "STATUS=none of yours"u8, [], wait: false, out _);
    }, address);

    private static Thread Run(Action<int> send, string address)
    {
        var thread = new Thread(() =>
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
            socket.Connect(new UnixDomainSocketEndPoint('\0' + address[1..]));
            if (SystemCall(SetUser, Nobody, Nobody, Nobody) == 0)
                send((int)socket.Handle);
        });
        thread.Start();
        return thread;
    }

    private static int SetUser => RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 147 : 117;

    [LibraryImport("libc", EntryPoint = "syscall")]
    private static partial nint SystemCall(nint number, nuint real, nuint effective, nuint saved);
}
