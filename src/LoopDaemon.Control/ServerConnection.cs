using System.Net.Sockets;
using LoopDaemon.Control.Varlink;
using LoopDaemon.Linux;

namespace LoopDaemon.Control;

/// <summary>One client's connection: its calls are answered in order, on a thread of its own, so a client that stalls
/// holds up nobody else.</summary>
internal sealed class ServerConnection : IDisposable
{
    private readonly VarlinkSocket _socket;
    private readonly CallDispatcher _dispatcher;
    private readonly ControlServerOptions _options;
    private readonly ControlCaller _caller;
    private volatile bool _ending;

    /// <summary>Takes ownership of an accepted socket.</summary>
    internal ServerConnection(VarlinkSocket socket, ControlCaller caller, CallDispatcher dispatcher, ControlServerOptions options)
    {
        _socket = socket;
        _caller = caller;
        _dispatcher = dispatcher;
        _options = options;
    }

    internal uint UserId => _caller.Peer.UserId;

    /// <summary>Answers calls until the client ends the connection, breaks the protocol, or is too slow.</summary>
    internal void Serve()
    {
        try
        {
            while (_socket.Receive(Timeout.InfiniteTimeSpan, _options.MessageTimeout) is { } message)
            {
                using (message)
                {
                    if (_ending)
                        return;
                    foreach (ReadOnlyMemory<byte> reply in _dispatcher.Handle(message, _caller, _socket.WatchForEnd))
                        _socket.Send(reply.Span, [], _options.SendTimeout);
                }
            }
        }
        catch (VarlinkProtocolException e)
        {
            LogEnd(e.Message);
        }
        catch (LinuxException e)
        {
            // EPIPE, ECONNRESET: the client died. ETIMEDOUT: it does not read what it asked for.
            LogEnd(e.Message);
        }
    }

    /// <summary>Lets the call under way finish and send its reply; no other begins.</summary>
    internal void Finish()
    {
        _ending = true;
        _socket.Shutdown(SocketShutdown.Receive);
    }

    /// <summary>Ends the connection whatever it is doing.</summary>
    internal void Abort() => _socket.Shutdown(SocketShutdown.Both);

    public void Dispose() => _socket.Dispose();

    private void LogEnd(string reason)
    {
        if (!_ending)
            _options.Log($"connection {_caller.Connection} of process {_caller.Peer.ProcessId}, user {_caller.Peer.UserId}, ended: {reason}", null);
    }
}
