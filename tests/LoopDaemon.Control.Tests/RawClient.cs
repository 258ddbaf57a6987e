using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace LoopDaemon.Control.Tests;

/// <summary>A client that sends whatever bytes it is told to.</summary>
internal sealed class RawClient : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly List<byte> _received = [];

    internal RawClient(string path)
    {
        _socket.ReceiveTimeout = 15_000;
        _socket.Connect(new UnixDomainSocketEndPoint(path));
    }

    internal Socket Socket => _socket;

    /// <summary>Sends text; a NUL in it is \0.</summary>
    internal void Send(string text) => Send(Encoding.UTF8.GetBytes(text));

    internal void Send(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
            bytes = bytes[_socket.Send(bytes)..];
    }

    /// <summary>The next message's JSON, or null at the end of the stream.</summary>
    internal JsonElement? Receive()
    {
        while (true)
        {
            int nul = _received.IndexOf(0);
            if (nul >= 0)
            {
                var message = JsonElement.Parse(_received.GetRange(0, nul).ToArray());
                _received.RemoveRange(0, nul + 1);
                return message;
            }
            byte[] buffer = new byte[65536];
            int count;
            try
            {
                count = _socket.Receive(buffer);
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
            {
                // The server closed with bytes of ours unread.
                return null;
            }
            if (count == 0)
                return null;
            _received.AddRange(buffer.AsSpan(0, count));
        }
    }

    /// <summary>Sends one call and gives its reply.</summary>
    internal JsonElement Call(string json)
    {
        Send(json + "\0");
        return Receive() ?? throw new EndOfStreamException();
    }

    public void Dispose() => _socket.Dispose();
}
