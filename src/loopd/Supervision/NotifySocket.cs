using System.Net.Sockets;
using System.Text;
using LoopDaemon.Linux;

namespace LoopDaemon.Daemon.Supervision;

/// <summary>Where a daemon tells its manager things (sd_notify(3)): a datagram socket in the abstract name space. Anybody may send
/// there; the kernel says who did, and strangers are not heard.</summary>
internal sealed class NotifySocket : IDisposable
{
    private const int MaxDescriptors = 253;
    private const int MaxDatagramBytes = 64 * 1024;

    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
    private readonly byte[] _datagram = new byte[MaxDatagramBytes];

    internal NotifySocket()
    {
        const int SocketLevel = 1, PassCredentials = 16;
        string name = $"loopd/notify/{Environment.ProcessId}/{Guid.NewGuid():N}";
        _socket.SetRawSocketOption(SocketLevel, PassCredentials, BitConverter.GetBytes(1));
        _socket.Bind(new UnixDomainSocketEndPoint('\0' + name));
        Address = '@' + name;
    }

    /// <summary>The value of NOTIFY_SOCKET.</summary>
    internal string Address { get; }

    /// <summary>The socket's number, for poll(2).</summary>
    internal int Number => (int)_socket.Handle;

    /// <summary>Takes the next message.</summary>
    /// <param name="assignments">Its assignments by name.</param>
    /// <param name="descriptors">The descriptors that came with it, which are the caller's.</param>
    /// <returns>False where there is none.</returns>
    internal bool TryReceive(out Dictionary<string, string> assignments, out List<FileDescriptor> descriptors)
    {
        while (true)
        {
            assignments = [];
            descriptors = [];
            if (DescriptorPassing.ReceiveDatagram(Number, _datagram, descriptors, MaxDescriptors, out int count, out uint? user) != Errno.None)
                return false;
            if (user == Credentials.UserId)
            {
                foreach (string line in Encoding.UTF8.GetString(_datagram, 0, count).Split('\n'))
                {
                    if (line.IndexOf('=', StringComparison.Ordinal) is var sign and > 0)
                        assignments[line[..sign]] = line[(sign + 1)..];
                }
                return true;
            }
            descriptors.ForEach(descriptor => descriptor.Dispose());
        }
    }

    public void Dispose() => _socket.Dispose();
}
