using System.Net.Sockets;
using System.Runtime.InteropServices;
using LoopDaemon.Linux;
using Mono.Unix.Native;
using Errno = LoopDaemon.Linux.Errno;

namespace LoopDaemon.Control.Varlink;

/// <summary>A connected Unix stream socket that carries Varlink messages: JSON texts, each ended by a NUL, and
/// descriptors beside them. One thread receives and one sends; they may be two.</summary>
internal sealed class VarlinkSocket : IDisposable
{
    /// <summary>Longest message, the NUL not counted, in bytes.</summary>
    internal const int MaxMessageBytes = 1 << 20;

    /// <summary>Most descriptors that one message may carry.</summary>
    internal const int MaxDescriptors = 16;

    private const int SmallBufferBytes = 4096;

    private readonly Socket _socket;
    private readonly Queue<Arrival> _arrivals = new();
    private byte[] _buffer = new byte[SmallBufferBytes];
    // Received and not yet handed out: _buffer[_start.._end], of which the bytes before _scanned hold no NUL.
    private int _start;
    private int _end;
    private int _scanned;
    // Position in the stream of _buffer[0].
    private long _position;

    /// <summary>Takes ownership of a connected socket.</summary>
    internal VarlinkSocket(Socket socket) => _socket = socket;

    /// <summary>Connects to a listening socket.</summary>
    /// <exception cref="LinuxException">Nobody listens there, or this process may not connect.</exception>
    internal static VarlinkSocket Connect(string path, TimeSpan timeout)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        // The kernel holds connect(2) to a listener with a full queue to the send time-out.
        socket.SendTimeout = Deadline.After(timeout).RemainingMilliseconds;
        Errno error = UnixSocketCalls.Connect(socket, path);
        if (error == Errno.None)
            return new VarlinkSocket(socket);
        socket.Dispose();
        throw new LinuxException(error, $"cannot connect to {path}");
    }

    /// <summary>Receives the next message.</summary>
    /// <param name="startTimeout">How long to wait for its first byte.</param>
    /// <param name="messageTimeout">How long the rest of it may take.</param>
    /// <returns>The message, or null where the peer ended the connection between two messages.</returns>
    /// <exception cref="VarlinkProtocolException">A limit is exceeded, or the stream ends or stalls inside a message.</exception>
    /// <exception cref="LinuxException">The connection broke (ECONNRESET), or nothing began in time (ETIMEDOUT).</exception>
    internal VarlinkMessage? Receive(TimeSpan startTimeout, TimeSpan messageTimeout)
    {
        bool started = _end > _start;
        var deadline = Deadline.After(started ? messageTimeout : startTimeout);
        while (true)
        {
            if (TakeMessage() is { } message)
                return message;
            if (!started && _end > _start)
            {
                started = true;
                deadline = Deadline.After(messageTimeout);
            }
            if (!ReceiveSome(deadline, started))
                return started ? throw new VarlinkProtocolException("the connection ended in the middle of a message") : null;
        }
    }

    /// <summary>Sends one message.</summary>
    /// <param name="message">Its JSON, with the NUL at its end.</param>
    /// <param name="descriptors">Descriptors to go with it; they stay the caller's.</param>
    /// <param name="timeout">How long the peer may take to make room for it.</param>
    /// <exception cref="LinuxException">The peer is gone (EPIPE, ECONNRESET) or does not read (ETIMEDOUT). A part may have
    /// been sent: the connection is of no further use.</exception>
    internal void Send(ReadOnlySpan<byte> message, ReadOnlySpan<FileDescriptor> descriptors, TimeSpan timeout)
    {
        var deadline = Deadline.After(timeout);
        while (!message.IsEmpty)
        {
            Errno error = DescriptorPassing.Send(UnixSocketCalls.Number(_socket), message, descriptors, wait: false, out int count);
            if (error == Errno.EAGAIN)
                error = UnixSocketCalls.Wait(_socket, PollEvents.POLLOUT, deadline);
            if (error != Errno.None)
                throw new LinuxException(error, "cannot send a message");
            message = message[count..];
            // They went with the first byte.
            if (count > 0)
                descriptors = [];
        }
    }

    /// <summary>Who is at the other end (SO_PEERCRED): as of its connect(2), or its listen(2).</summary>
    internal PeerCredentials GetPeer()
    {
        const int SocketLevel = 1, PeerCredentialsOption = 17;
        // struct ucred: pid, uid, gid.
        Span<uint> ucred = stackalloc uint[3];
        _socket.GetRawSocketOption(SocketLevel, PeerCredentialsOption, MemoryMarshal.AsBytes(ucred));
        return new PeerCredentials(ucred[0], ucred[1], ucred[2]) { SupplementaryGroups = GetPeerGroups() };
    }

    /// <summary>SO_PEERGROUPS (Linux 4.13); none where they cannot be had.</summary>
    private uint[] GetPeerGroups()
    {
        const int SocketLevel = 1, PeerGroupsOption = 59, MostGroups = 1024;
        Span<uint> groups = stackalloc uint[MostGroups];
        try
        {
            int bytes = _socket.GetRawSocketOption(SocketLevel, PeerGroupsOption, MemoryMarshal.AsBytes(groups));
            return groups[..(bytes / sizeof(uint))].ToArray();
        }
        catch (SocketException)
        {
            return [];
        }
    }

    /// <summary>A token that is cancelled when the peer ends the connection, or this side shuts it down. A peer that sends
    /// before that is watched no longer.</summary>
    internal CancellationToken WatchForEnd()
    {
        var ended = new CancellationTokenSource();
        _ = Watch();
        return ended.Token;

        async Task Watch()
        {
            try
            {
                if (await _socket.ReceiveAsync(new byte[1], SocketFlags.Peek).ConfigureAwait(false) > 0)
                    return;
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // As good an end as any.
            }
            await ended.CancelAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Ends one or both directions; a thread that waits in the call concerned comes back at once.</summary>
    internal void Shutdown(SocketShutdown how)
    {
        try
        {
            _socket.Shutdown(how);
        }
        catch (SocketException)
        {
            // ENOTCONN: the peer was faster.
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Arrival arrival in _arrivals)
            arrival.Close();
        _arrivals.Clear();
        _socket.Dispose();
    }

    /// <summary>Cuts the first whole message off the buffer.</summary>
    private VarlinkMessage? TakeMessage()
    {
        int found = _buffer.AsSpan(_scanned, _end - _scanned).IndexOf((byte)0);
        if (found < 0)
        {
            _scanned = _end;
            return null;
        }
        int nul = _scanned + found;
        byte[] json = _buffer[_start..nul];
        _start = _scanned = nul + 1;

        var descriptors = new List<FileDescriptor>();
        while (_arrivals.TryPeek(out Arrival arrival) && arrival.LastByte <= _position + nul)
            descriptors.AddRange(_arrivals.Dequeue().Descriptors);
        if (_start == _end)
            Restart();
        var message = new VarlinkMessage(json, descriptors);
        if (descriptors.Count <= MaxDescriptors)
            return message;
        message.Dispose();
        throw TooManyDescriptors();
    }

    /// <summary>An empty buffer begins anew, and a large one is given back: idle connections cost next to nothing.</summary>
    private void Restart()
    {
        _position += _start;
        _start = _end = _scanned = 0;
        if (_buffer.Length > SmallBufferBytes)
            _buffer = new byte[SmallBufferBytes];
    }

    private bool ReceiveSome(Deadline deadline, bool started)
    {
        MakeRoom();
        // There is no whole message in the buffer, so all that arrived belongs to the one under way.
        if (_arrivals.Sum(arrival => arrival.Descriptors.Count) > MaxDescriptors)
            throw TooManyDescriptors();

        var descriptors = new List<FileDescriptor>();
        Errno error;
        int count;
        bool lost;
        while ((error = DescriptorPassing.Receive(
            UnixSocketCalls.Number(_socket), _buffer.AsSpan(_end), descriptors, MaxDescriptors, wait: false, out count, out lost)) == Errno.EAGAIN)
        {
            error = UnixSocketCalls.Wait(_socket, PollEvents.POLLIN, deadline);
            if (error == Errno.ETIMEDOUT && started)
                throw new VarlinkProtocolException("the peer stalled in the middle of a message");
            if (error != Errno.None)
                break;
        }
        if (error != Errno.None)
            throw new LinuxException(error, "cannot receive a message");

        _end += count;
        // recvmsg(2) stops behind the data that brought descriptors, so they belong to the message with its last byte.
        if (descriptors.Count > 0)
            _arrivals.Enqueue(new Arrival(_position + _end - 1, descriptors));
        return lost
            ? throw new VarlinkProtocolException($"descriptors of a message were lost: more than {MaxDescriptors}, or more than may be open")
            : count > 0;
    }

    private void MakeRoom()
    {
        if (_end < _buffer.Length)
            return;
        byte[] target = _buffer;
        if (_start == 0)
        {
            if (_buffer.Length > MaxMessageBytes)
                throw new VarlinkProtocolException($"a message is longer than {MaxMessageBytes} bytes");
            target = new byte[Math.Min(_buffer.Length * 2, MaxMessageBytes + 1)];
        }
        _buffer.AsSpan(_start, _end - _start).CopyTo(target);
        _buffer = target;
        _position += _start;
        _end -= _start;
        _scanned -= _start;
        _start = 0;
    }

    private static VarlinkProtocolException TooManyDescriptors() =>
        new($"a message carries more than {MaxDescriptors} descriptors");

    /// <summary>Descriptors, and the position in the stream of the last byte that was received with them.</summary>
    private readonly record struct Arrival(long LastByte, List<FileDescriptor> Descriptors)
    {
        internal void Close()
        {
            foreach (FileDescriptor descriptor in Descriptors)
                descriptor.Dispose();
        }
    }
}
