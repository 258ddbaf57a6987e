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
    private readonly Socket _bell = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
    private readonly byte[] _datagram = new byte[MaxDatagramBytes];

    internal NotifySocket()
    {
        const int SocketLevel = 1, PassCredentials = 16;
        string name = $"loopd/notify/{Environment.ProcessId}/{Guid.NewGuid():N}";
        var address = new UnixDomainSocketEndPoint('\0' + name);
        _socket.SetRawSocketOption(SocketLevel, PassCredentials, BitConverter.GetBytes(1));
        _socket.Bind(address);
        _bell.Connect(address);
        Address = '@' + name;
    }

    /// <summary>The value of NOTIFY_SOCKET.</summary>
    internal string Address { get; }

    /// <summary>The socket's number, for poll(2).</summary>
    internal int Number => (int)_socket.Handle;

    /// <summary>Makes the socket readable, for whoever waits for it to look at something else.</summary>
    internal void Ring() => DescriptorPassing.Send((int)_bell.Handle, "\n"u8, [], wait: false, out _);

    /// <summary>Takes the next message. A stranger's is an empty one.</summary>
    /// <param name="assignments">Its assignments by name.</param>
    /// <param name="descriptors">The descriptors that came with it, which are the caller's.</param>
    /// <param name="lost">It came with more descriptors than this process may have open.</param>
    /// <returns>False where there is none.</returns>
    internal bool TryReceive(out Dictionary<string, string> assignments, out List<FileDescriptor> descriptors, out bool lost)
    {
        assignments = [];
        descriptors = [];
        lost = false;
        // First who it is: a stranger's descriptors are not even taken.
        if (DescriptorPassing.ReceiveDatagram(Number, _datagram, descriptors, 0, stays: true, out _, out uint? user, out _) != Errno.None)
            return false;
        bool isKnown = user == Credentials.UserId;
        if (DescriptorPassing.ReceiveDatagram(
            Number, _datagram, descriptors, isKnown ? MaxDescriptors : 0, stays: false, out int count, out _, out bool cut) != Errno.None)
            return false;
        if (!isKnown)
            return true;
        lost = cut;
        foreach (string line in Encoding.UTF8.GetString(_datagram, 0, count).Split('\n'))
        {
            if (line.IndexOf('=', StringComparison.Ordinal) is var sign and > 0)
                assignments[line[..sign]] = line[(sign + 1)..];
        }
        return true;
    }

    public void Dispose()
    {
        _bell.Dispose();
        _socket.Dispose();
    }
}
