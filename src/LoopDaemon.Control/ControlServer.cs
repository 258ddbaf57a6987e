using System.Net.Sockets;
using LoopDaemon.Control.Varlink;
using LoopDaemon.Linux;

namespace LoopDaemon.Control;

/// <summary>The daemon's control socket: accepts connections and has a service answer their calls.</summary>
public sealed class ControlServer : IDisposable
{
    private const int Backlog = 1024;
    private static readonly TimeSpan PauseAfterFailedAccept = TimeSpan.FromMilliseconds(100);

    private readonly Socket _listener;
    private ListeningPath? _path;
    private readonly ControlServerOptions _options;
    private readonly CallDispatcher _dispatcher;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Lock _lock = new();
    private readonly Dictionary<ServerConnection, Thread> _connections = [];
    private readonly Task _accepting;
    private long _accepted;

    private ControlServer(Socket listener, ListeningPath? path, IControlService service, ControlServerOptions options)
    {
        _listener = listener;
        _path = path;
        _options = options;
        var info = new ServiceInfo("LoopDaemon", "loopd", options.Version, options.Url, VarlinkInterfaces.Names);
        _dispatcher = new CallDispatcher(service, info, options.Log);
        _accepting = Task.Run(AcceptAsync);
    }

    /// <summary>How many clients are connected.</summary>
    public int ConnectionCount
    {
        get
        {
            lock (_lock)
                return _connections.Count;
        }
    }

    /// <summary>Listens on a path of its own. The socket appears there with its mode set and ready to be connected to; one
    /// that a dead daemon left behind is replaced.</summary>
    /// <param name="path">The socket's path, 103 bytes at most: beside it <c>path.new</c> must fit into unix(7)'s 107.</param>
    /// <param name="mode">Who may connect: connecting needs the right to write.</param>
    /// <param name="service">What answers the calls.</param>
    /// <param name="options">What the server says of itself, and its limits.</param>
    /// <exception cref="LinuxException">EBUSY: another daemon answers there. EEXIST: something there is no socket. EINVAL:
    /// the path is too long. Otherwise the socket cannot be made.</exception>
    public static ControlServer Listen(string path, UnixFileMode mode, IControlService service, ControlServerOptions options)
    {
        Socket listener = ListeningPath.Listen(path, mode, Backlog, out ListeningPath place);
        return new ControlServer(listener, place, service, options);
    }

    /// <summary>Serves a socket that listens already, such as one that systemd or a daemon before this one hands over.</summary>
    /// <param name="listener">The socket; the server duplicates it.</param>
    /// <param name="path">Where it listens, to be removed when the server stops; null where the path is somebody else's.</param>
    /// <param name="service">What answers the calls.</param>
    /// <param name="options">What the server says of itself, and its limits.</param>
    /// <exception cref="LinuxException">No descriptor is left.</exception>
    public static ControlServer Adopt(FileDescriptor listener, string? path, IControlService service, ControlServerOptions options)
    {
        FileDescriptor own = listener.Duplicate();
        var handle = new SafeSocketHandle(own.Number, ownsHandle: true);
        // From here on the socket's handle closes the number.
        own.SetHandleAsInvalid();
        return new ControlServer(new Socket(handle), path is null ? null : ListeningPath.Find(path), service, options);
    }

    /// <summary>A second descriptor of the socket that listens.</summary>
    /// <exception cref="LinuxException">No descriptor is left.</exception>
    public FileDescriptor DuplicateListener()
    {
        var listener = new FileDescriptor((int)_listener.Handle);
        try
        {
            return listener.Duplicate();
        }
        finally
        {
            listener.SetHandleAsInvalid();
        }
    }

    /// <summary>Stops, but for the socket's path: another process that holds the socket goes on with it, and who connects
    /// meanwhile waits for that.</summary>
    public void Leave()
    {
        _path = null;
        Dispose();
    }

    /// <summary>Stops: removes the socket's path if it is still this server's, lets calls under way finish within the stop
    /// time-out, and ends all connections.</summary>
    public void Dispose()
    {
        if (_stopping.IsCancellationRequested)
            return;
        // The path goes first: whoever comes now is told at once that nobody listens.
        _path?.Remove();
        _stopping.Cancel();
        _accepting.Wait();
        _listener.Dispose();

        KeyValuePair<ServerConnection, Thread>[] open;
        lock (_lock)
        {
            open = [.. _connections];
            foreach (ServerConnection connection in _connections.Keys)
                connection.Finish();
        }
        var deadline = Deadline.After(_options.StopTimeout);
        foreach ((_, Thread thread) in open)
            thread.Join(deadline.RemainingMilliseconds);
        lock (_lock)
        {
            foreach (ServerConnection connection in _connections.Keys)
                connection.Abort();
        }
        _stopping.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            try
            {
                Begin(await _listener.AcceptAsync(_stopping.Token).ConfigureAwait(false));
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (Exception e)
            {
                // Mostly no descriptor or no thread is left, until another connection ends. Whatever it is: a daemon that
                // accepts no more can no longer be controlled.
                _options.Log("cannot accept a connection", e);
                await Task.Delay(PauseAfterFailedAccept).ConfigureAwait(false);
            }
        }
    }

    private void Begin(Socket accepted)
    {
        var socket = new VarlinkSocket(accepted);
        ServerConnection? connection = null;
        try
        {
            var caller = new ControlCaller(socket.GetPeer(), ++_accepted);
            if (IsFull(caller))
                return;
            connection = new ServerConnection(socket, caller, _dispatcher, _options);
            Start(connection, $"control {caller.Connection}");
        }
        finally
        {
            if (connection is null)
                socket.Dispose();
        }
    }

    private bool IsFull(ControlCaller caller)
    {
        int all, ofUser;
        lock (_lock)
        {
            all = _connections.Count;
            ofUser = _connections.Keys.Count(connection => connection.UserId == caller.Peer.UserId);
        }
        if (all < _options.MaxConnections && ofUser < _options.MaxConnectionsPerUser)
            return false;
        _options.Log($"refused process {caller.Peer.ProcessId} of user {caller.Peer.UserId}: {all} clients are connected, {ofUser} of them that user's", null);
        return true;
    }

    private void Start(ServerConnection connection, string name)
    {
        var thread = new Thread(() => Serve(connection)) { IsBackground = true, Name = name };
        lock (_lock)
            _connections.Add(connection, thread);
        try
        {
            thread.Start();
        }
        catch (OutOfMemoryException)
        {
            End(connection);
            throw;
        }
    }

    private void Serve(ServerConnection connection)
    {
        try
        {
            connection.Serve();
        }
        catch (Exception e)
        {
            // An exception that nobody expected costs one connection; unhandled, it would cost the daemon and its devices.
            _options.Log("a control connection failed", e);
        }
        finally
        {
            End(connection);
        }
    }

    private void End(ServerConnection connection)
    {
        // Under the lock, so that Dispose never shuts down a number that is already somebody else's.
        lock (_lock)
        {
            _connections.Remove(connection);
            connection.Dispose();
        }
    }
}
