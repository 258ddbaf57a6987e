using System.Net.Sockets;
using System.Text;

namespace LoopDaemon.Linux;

/// <summary>The way to tell the service manager something (sd_notify(3)): datagrams to the socket that NOTIFY_SOCKET names.</summary>
public sealed class ServiceNotification : IDisposable
{
    private readonly Socket _socket;

    private ServiceNotification(Socket socket) => _socket = socket;

    /// <summary>Connects to the manager that has started this process.</summary>
    /// <returns>Null where none has, or it cannot be reached.</returns>
    public static ServiceNotification? Connect()
    {
        string? address = Environment.GetEnvironmentVariable("NOTIFY_SOCKET");
        if (string.IsNullOrEmpty(address) || address[0] is not ('/' or '@'))
            return null;
        var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        try
        {
            // An address in the abstract name space begins with a NUL, which the environment cannot hold (unix(7)).
            socket.Connect(new UnixDomainSocketEndPoint(address[0] == '@' ? '\0' + address[1..] : address));
            return new ServiceNotification(socket);
        }
        catch (Exception refused) when (refused is SocketException or ArgumentException)
        {
            socket.Dispose();
            return null;
        }
    }

    /// <summary>Sends assignments, such as <c>READY=1</c>, one a line. Waits while the manager's queue is full.</summary>
    /// <param name="assignments">The assignments.</param>
    /// <param name="descriptor">A descriptor to hand over with them; it stays the caller's.</param>
    public Errno Send(string assignments, FileDescriptor? descriptor = null)
    {
        ReadOnlySpan<FileDescriptor> descriptors = descriptor is null ? [] : [descriptor];
        return DescriptorPassing.Send((int)_socket.Handle, Encoding.UTF8.GetBytes(assignments), descriptors, wait: true, out _);
    }

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();
}
