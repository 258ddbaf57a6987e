using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using LoopDaemon.Control.Varlink;
using LoopDaemon.Linux;

namespace LoopDaemon.Control;

/// <summary>A connection to a daemon's control socket. Any thread may call; the calls are made one after another. All of
/// them throw <see cref="ControlException"/>: with the daemon's own error, with ETIMEDOUT if it does not answer in time,
/// with ECONNRESET if it ends the connection, and with EPROTO if its answer makes no sense. After these last three the
/// connection is of no further use.</summary>
public sealed class ControlClient : IDisposable
{
    // EPIPE, which has no name in Errno: the daemon closed its end before it read the call.
    private const Errno BrokenPipe = (Errno)32;

    private readonly VarlinkSocket _socket;
    private readonly TimeSpan _timeout;
    private readonly Lock _lock = new();
    private bool _broken;

    private ControlClient(VarlinkSocket socket, TimeSpan timeout)
    {
        _socket = socket;
        _timeout = timeout;
    }

    /// <summary>How long a call may take unless <see cref="Connect"/> is told otherwise.</summary>
    public static TimeSpan DefaultTimeout { get; } = TimeSpan.FromSeconds(30);

    /// <summary>Connects to a daemon.</summary>
    /// <param name="path">The path of its control socket.</param>
    /// <param name="timeout">How long connecting, and then each call, may take; null for <see cref="DefaultTimeout"/>.</param>
    /// <exception cref="DaemonUnavailableException">No daemon runs there (which the exception tells apart), or this user may
    /// not connect.</exception>
    public static ControlClient Connect(string path, TimeSpan? timeout = null)
    {
        try
        {
            return new ControlClient(VarlinkSocket.Connect(path, timeout ?? DefaultTimeout), timeout ?? DefaultTimeout);
        }
        catch (LinuxException e)
        {
            throw new DaemonUnavailableException(path, e.Errno, e);
        }
    }

    /// <summary>Binds a device.</summary>
    /// <param name="request">What to bind; its descriptors stay the caller's.</param>
    /// <exception cref="ControlException">The device cannot be bound.</exception>
    public ConfigureReply Configure(ConfigureRequest request)
    {
        var descriptors = new List<FileDescriptor>();
        int Send(FileDescriptor descriptor)
        {
            descriptors.Add(descriptor);
            return descriptors.Count - 1;
        }

        var call = new ConfigureCall(
            request.Device, Send(request.BackingFile), request.Offset, request.SizeLimit, request.ReadOnly, request.Autoclear,
            request.Partscan, request.DirectIo, request.Passthrough, request.SectorSize, request.Reference, request.Group, request.Mode, request.NoOverlap,
            [.. request.Transfers.Select(transfer => new TransferCall(
                transfer.Name, transfer.Options, transfer.Key is null ? null : Send(transfer.Key)))],
            request.AllowDiscards, request.SectorsFromOffset ? SectorsFrom.Offset : SectorsFrom.File);
        if (descriptors.Count > VarlinkSocket.MaxDescriptors)
            throw new ControlException(ControlError.InvalidArgument, $"at most {VarlinkSocket.MaxDescriptors - 1} transfers may have keys");
        return Call("Configure", call, WireFormat.Default.ConfigureCall, WireFormat.Default.ConfigureReply, [.. descriptors]);
    }

    /// <summary>Takes a device's backing file away, at once or at its last close.</summary>
    /// <exception cref="ControlException">The device is not bound, or not the caller's.</exception>
    public ClearReply Clear(int device) =>
        Call("Clear", new DeviceCall(device), WireFormat.Default.DeviceCall, WireFormat.Default.ClearReply);

    /// <summary>Changes the status of a device.</summary>
    /// <exception cref="ControlException">The device is not bound, or not the caller's, or does not take the change.</exception>
    public SizeReply SetStatus(int device, StatusChange change) => Call(
        "SetStatus", new SetStatusCall(device, change.Autoclear, change.Partscan, change.Offset, change.SizeLimit, change.Reference),
        WireFormat.Default.SetStatusCall, WireFormat.Default.SizeReply);

    /// <summary>Gives a read-only device another backing file of the same size.</summary>
    /// <exception cref="ControlException">The device is not bound, not read-only, or not the caller's, or the file will not do.</exception>
    public void ChangeBackingFile(int device, FileDescriptor backingFile) => Call(
        "ChangeBackingFile", new ChangeBackingFileCall(device, 0),
        WireFormat.Default.ChangeBackingFileCall, WireFormat.Default.NoParameters, backingFile);

    /// <summary>Takes over the size that the backing file has now.</summary>
    /// <exception cref="ControlException">The device is not bound, or not the caller's.</exception>
    public SizeReply SetCapacity(int device) =>
        Call("SetCapacity", new DeviceCall(device), WireFormat.Default.DeviceCall, WireFormat.Default.SizeReply);

    /// <summary>Turns direct I/O on the backing file on or off.</summary>
    /// <exception cref="ControlException">The device is not bound, or not the caller's, or its file cannot do it.</exception>
    public void SetDirectIo(int device, bool enable) => Call(
        "SetDirectIo", new SetDirectIoCall(device, enable), WireFormat.Default.SetDirectIoCall, WireFormat.Default.NoParameters);

    /// <summary>Sets the logical sector size in bytes.</summary>
    /// <exception cref="ControlException">The device is not bound, or not the caller's, or open, or the size is none.</exception>
    public SizeReply SetSectorSize(int device, int sectorSize) => Call(
        "SetSectorSize", new SetSectorSizeCall(device, sectorSize), WireFormat.Default.SetSectorSizeCall, WireFormat.Default.SizeReply);

    /// <summary>Reads the partition table anew.</summary>
    /// <exception cref="ControlException">The device is not bound, not the caller's, or a partition is open.</exception>
    public SizeReply Rescan(int device) =>
        Call("Rescan", new DeviceCall(device), WireFormat.Default.DeviceCall, WireFormat.Default.SizeReply);

    /// <summary>Makes a device; without a number, the lowest that does not exist.</summary>
    /// <exception cref="ControlException">It exists, or no more may be made.</exception>
    public GetFreeReply Add(int? device) =>
        Call("Add", new AddCall(device), WireFormat.Default.AddCall, WireFormat.Default.GetFreeReply);

    /// <summary>Removes a device.</summary>
    /// <exception cref="ControlException">There is none, or it is in use, or it always exists.</exception>
    public void Remove(int device) =>
        Call("Remove", new DeviceCall(device), WireFormat.Default.DeviceCall, WireFormat.Default.NoParameters);

    /// <summary>What happens to the devices that the caller may see, as it happens, until the daemon ends. No other call can
    /// be made on this connection meanwhile, nor afterwards if the enumeration is not taken to its end.</summary>
    /// <exception cref="ControlException">The daemon fails, or is gone (ECONNRESET).</exception>
    public IEnumerable<DeviceEvent> Monitor() =>
        Stream("Monitor", WireFormat.Default.MonitorReply, Timeout.InfiniteTimeSpan).Select(reply => reply.Event);

    /// <summary>Ends the daemon; it has ended some time after this has returned.</summary>
    /// <exception cref="ControlException">A device is open, or the caller may not.</exception>
    public void Shutdown(ShutdownMode mode) =>
        Call("Shutdown", new ShutdownCall(mode), WireFormat.Default.ShutdownCall, WireFormat.Default.NoParameters);

    /// <summary>The daemon itself.</summary>
    /// <exception cref="ControlException">The daemon fails.</exception>
    public DaemonStatus GetDaemon() => Call("GetDaemon", WireFormat.Default.DaemonStatus);

    /// <summary>The bound devices that the caller may see, by number.</summary>
    /// <exception cref="ControlException">The daemon fails.</exception>
    public IReadOnlyList<DeviceStatus> List() =>
        [.. Stream("List", WireFormat.Default.ListReply, _timeout).SelectMany(part => part.Devices)];

    /// <summary>One bound device.</summary>
    /// <exception cref="ControlException">The device is not bound, or not the caller's.</exception>
    public DeviceStatus GetStatus(int device) =>
        Call("GetStatus", new DeviceCall(device), WireFormat.Default.DeviceCall, WireFormat.Default.GetStatusReply).Status;

    /// <summary>The first free device.</summary>
    /// <exception cref="ControlException">All devices are bound.</exception>
    public GetFreeReply GetFree() => Call("GetFree", WireFormat.Default.GetFreeReply);

    /// <summary>The transfers that <see cref="Configure"/> accepts.</summary>
    /// <exception cref="ControlException">The daemon fails.</exception>
    public IReadOnlyList<TransferDescription> ListTransfers() => Call("ListTransfers", WireFormat.Default.ListTransfersReply).Transfers;

    /// <summary>Who answers.</summary>
    /// <exception cref="ControlException">The daemon fails.</exception>
    public ServiceInfo GetInfo() => CallFully(
        $"{VarlinkInterfaces.Service}.GetInfo", new NoParameters(), WireFormat.Default.NoParameters, WireFormat.Default.ServiceInfo, []);

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();

    private TReply Call<TReply>(string method, JsonTypeInfo<TReply> replyType) =>
        Call(method, new NoParameters(), WireFormat.Default.NoParameters, replyType);

    private TReply Call<TCall, TReply>(
        string method, TCall call, JsonTypeInfo<TCall> callType, JsonTypeInfo<TReply> replyType, params ReadOnlySpan<FileDescriptor> descriptors) =>
        CallFully($"{VarlinkInterfaces.Control}.{method}", call, callType, replyType, descriptors);

    private TReply CallFully<TCall, TReply>(
        string method, TCall call, JsonTypeInfo<TCall> callType, JsonTypeInfo<TReply> replyType, ReadOnlySpan<FileDescriptor> descriptors)
    {
        ReadOnlyMemory<byte> message = VarlinkWriter.Call(method, call, callType);
        if (message.Length > VarlinkSocket.MaxMessageBytes + 1)
            throw new ControlException(ControlError.InvalidArgument, Errno.EMSGSIZE, "the request is longer than a message may be");
        lock (_lock)
        {
            Begin();
            using VarlinkMessage reply = Exchange(message.Span, descriptors, _timeout);
            TReply? answer = ReadReply(reply, replyType, out _, out ControlException? error);
            _broken = false;
            return error is null ? answer! : throw error;
        }
    }

    /// <summary>Makes a call that has several replies.</summary>
    private IEnumerable<TReply> Stream<TReply>(string method, JsonTypeInfo<TReply> replyType, TimeSpan patience)
    {
        lock (_lock)
            Begin();
        ReadOnlyMemory<byte> message = VarlinkWriter.Call(
            $"{VarlinkInterfaces.Control}.{method}", new NoParameters(), WireFormat.Default.NoParameters, more: true);
        bool continues = true;
        while (continues)
        {
            TReply? answer;
            using (VarlinkMessage reply = Exchange(message.Span, [], patience))
            {
                answer = ReadReply(reply, replyType, out continues, out ControlException? error);
                _broken = continues;
                if (error is not null)
                    throw error;
            }
            message = default;
            yield return answer!;
        }
    }

    /// <summary>Until the replies are read in full, a later call would take this one's for its own.</summary>
    private void Begin()
    {
        if (_broken)
            throw new ControlException(ControlError.Failed, Errno.ENOTCONN, "the connection to the daemon is no longer usable after an earlier failure");
        _broken = true;
    }

    private VarlinkMessage Exchange(ReadOnlySpan<byte> message, ReadOnlySpan<FileDescriptor> descriptors, TimeSpan patience)
    {
        try
        {
            _socket.Send(message, descriptors, _timeout);
            return _socket.Receive(patience, _timeout) ?? throw DaemonGone(null);
        }
        catch (LinuxException e) when (e.Errno == Errno.ETIMEDOUT)
        {
            throw new ControlException(ControlError.Failed, Errno.ETIMEDOUT, $"the daemon did not answer within {_timeout.TotalSeconds:0.#} seconds", e);
        }
        catch (LinuxException e) when (e.Errno is not (Errno.ECONNRESET or BrokenPipe))
        {
            throw new ControlException(ControlError.Failed, e.Errno, $"the daemon cannot be asked: {e.Errno.Describe()}", e);
        }
        catch (IOException e)
        {
            throw DaemonGone(e);
        }
    }

    private static TReply? ReadReply<TReply>(VarlinkMessage reply, JsonTypeInfo<TReply> type, out bool continues, out ControlException? error)
    {
        try
        {
            using JsonDocument json = VarlinkCall.ParseJson(reply.Json);
            continues = json.RootElement.TryGetProperty("continues", out JsonElement flag) && flag.GetBoolean();
            bool parametersGiven = json.RootElement.TryGetProperty("parameters", out JsonElement parameters);
            if (json.RootElement.TryGetProperty("error", out JsonElement name))
            {
                error = RemoteError.Read(name.GetString() ?? "", parameters);
                return default;
            }
            error = null;
            return (parametersGiven ? parameters.Deserialize(type) : default) ?? throw Nonsense(null);
        }
        catch (Exception e) when (e is JsonException or VarlinkProtocolException or InvalidOperationException or KeyNotFoundException)
        {
            throw Nonsense(e);
        }
    }

    private static ControlException DaemonGone(Exception? cause) =>
        new(ControlError.Failed, Errno.ECONNRESET, "the daemon ended the connection before it answered", cause);

    private static ControlException Nonsense(Exception? cause) =>
        new(ControlError.Failed, Errno.EPROTO, "the daemon's answer makes no sense; it may be of another version", cause);
}
