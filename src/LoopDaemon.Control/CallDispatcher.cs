using System.Text.Json;
using LoopDaemon.Control.Varlink;
using LoopDaemon.Linux;

namespace LoopDaemon.Control;

/// <summary>Turns one message into one call of the service, and its results or error into replies.</summary>
internal sealed class CallDispatcher
{
    /// <summary>With long paths, all their characters escaped, and all partitions, still less than a message may be long.</summary>
    private const int DevicesInPart = 8;

    private readonly IControlService _service;
    private readonly ServiceInfo _info;
    private readonly Action<string, Exception?> _log;
    private readonly Dictionary<string, Method> _methods;
    private readonly Dictionary<string, Stream> _streams;

    internal CallDispatcher(IControlService service, ServiceInfo info, Action<string, Exception?> log)
    {
        _service = service;
        _info = info;
        _log = log;
        _methods = new()
        {
            [VarlinkInterfaces.Service + ".GetInfo"] = GetInfo,
            [VarlinkInterfaces.Service + ".GetInterfaceDescription"] = GetInterfaceDescription,
            [VarlinkInterfaces.Control + ".Configure"] = Configure,
            [VarlinkInterfaces.Control + ".Clear"] = Clear,
            [VarlinkInterfaces.Control + ".SetStatus"] = SetStatus,
            [VarlinkInterfaces.Control + ".ChangeBackingFile"] = ChangeBackingFile,
            [VarlinkInterfaces.Control + ".SetCapacity"] = SetCapacity,
            [VarlinkInterfaces.Control + ".SetDirectIo"] = SetDirectIo,
            [VarlinkInterfaces.Control + ".SetSectorSize"] = SetSectorSize,
            [VarlinkInterfaces.Control + ".Rescan"] = Rescan,
            [VarlinkInterfaces.Control + ".Add"] = Add,
            [VarlinkInterfaces.Control + ".Remove"] = Remove,
            [VarlinkInterfaces.Control + ".Shutdown"] = Shutdown,
            [VarlinkInterfaces.Control + ".GetDaemon"] = GetDaemon,
            [VarlinkInterfaces.Control + ".List"] = List,
            [VarlinkInterfaces.Control + ".GetStatus"] = GetStatus,
            [VarlinkInterfaces.Control + ".GetFree"] = GetFree,
            [VarlinkInterfaces.Control + ".ListTransfers"] = ListTransfers,
        };
        _streams = new()
        {
            [VarlinkInterfaces.Control + ".List"] = ListInParts,
            [VarlinkInterfaces.Control + ".Monitor"] = Monitor,
        };
    }

    private delegate ReadOnlyMemory<byte> Method(ParameterReader parameters, ControlCaller caller);

    private delegate IEnumerable<ReadOnlyMemory<byte>> Stream(ParameterReader parameters, ControlCaller caller, Func<CancellationToken> watchForEnd);

    /// <summary>The full names of all methods.</summary>
    internal IEnumerable<string> Methods => _methods.Keys.Union(_streams.Keys);

    /// <summary>Makes the call that a message asks for.</summary>
    /// <param name="message">The message; it must live as long as the replies are taken.</param>
    /// <param name="caller">Who sent it.</param>
    /// <param name="watchForEnd">Makes a token for the end of the connection; called where replies may go on for ever.</param>
    /// <returns>The replies, each with its NUL; none where the caller wants none. What they cost is done as they are taken.</returns>
    /// <exception cref="VarlinkProtocolException">The message is no call.</exception>
    internal IEnumerable<ReadOnlyMemory<byte>> Handle(VarlinkMessage message, ControlCaller caller, Func<CancellationToken> watchForEnd)
    {
        using JsonDocument json = VarlinkCall.ParseJson(message.Json);
        var call = VarlinkCall.Read(json.RootElement);
        using IEnumerator<ReadOnlyMemory<byte>> replies =
            Replies(call, new ParameterReader(call.Parameters, message.Descriptors), caller, watchForEnd).GetEnumerator();
        while (TryNext(replies, call.Method, caller, out ReadOnlyMemory<byte> reply))
        {
            if (!call.OneWay)
                yield return reply;
        }
    }

    private IEnumerable<ReadOnlyMemory<byte>> Replies(
        VarlinkCall call, ParameterReader parameters, ControlCaller caller, Func<CancellationToken> watchForEnd)
    {
        Method? method = _methods.GetValueOrDefault(call.Method);
        Stream? stream = _streams.GetValueOrDefault(call.Method);
        if (method is null && stream is null)
        {
            throw VarlinkInterfaces.Names.Contains(call.Interface)
                ? VarlinkErrorException.MethodNotFound(call.Method)
                : VarlinkErrorException.InterfaceNotFound(call.Interface);
        }
        if (call.Upgrade)
            throw VarlinkErrorException.MethodNotImplemented(call.Method);
        if (stream is not null && call.More)
        {
            foreach (ReadOnlyMemory<byte> reply in stream(parameters, caller, watchForEnd))
                yield return reply;
            yield break;
        }
        if (method is null)
            throw VarlinkErrorException.ExpectedMore();
        yield return method(parameters, caller);
    }

    /// <summary>Makes the next reply, be it an error.</summary>
    private bool TryNext(IEnumerator<ReadOnlyMemory<byte>> replies, string method, ControlCaller caller, out ReadOnlyMemory<byte> reply)
    {
        reply = default;
        try
        {
            if (!replies.MoveNext())
                return false;
            reply = replies.Current;
            if (reply.Length > VarlinkSocket.MaxMessageBytes + 1)
                throw new ControlException(ControlError.Failed, Errno.EMSGSIZE, "the answer is longer than a message may be");
        }
        catch (VarlinkErrorException e)
        {
            reply = VarlinkWriter.Error(e);
        }
        catch (ControlException e)
        {
            reply = Error(e.Error, e.Errno, e.Message);
        }
        catch (LinuxException e)
        {
            reply = Error(ControlError.Failed, e.Errno, e.Message);
        }
        catch (Exception e)
        {
            // What went wrong inside the daemon is for its log; the client may be anyone.
            _log($"{method} failed for process {caller.Peer.ProcessId} of user {caller.Peer.UserId}", e);
            reply = Error(ControlError.Failed, Errno.EIO, "the daemon failed to do this; its log says why");
        }
        return true;
    }

    private static ReadOnlyMemory<byte> Error(ControlError error, Errno errno, string message) => VarlinkWriter.Error(
        $"{VarlinkInterfaces.Control}.{error}", new ControlErrorParameters(errno.Name(), message), WireFormat.Default.ControlErrorParameters);

    private ReadOnlyMemory<byte> GetInfo(ParameterReader parameters, ControlCaller caller)
    {
        parameters.Finish();
        return VarlinkWriter.Reply(_info, WireFormat.Default.ServiceInfo);
    }

    private static ReadOnlyMemory<byte> GetInterfaceDescription(ParameterReader parameters, ControlCaller caller)
    {
        string name = parameters.Text("interface");
        parameters.Finish();
        string text = VarlinkInterfaces.Describe(name) ?? throw VarlinkErrorException.InterfaceNotFound(name);
        return VarlinkWriter.Reply(new InterfaceDescription(text), WireFormat.Default.InterfaceDescription);
    }

    private ReadOnlyMemory<byte> Configure(ParameterReader parameters, ControlCaller caller)
    {
        var request = new ConfigureRequest
        {
            Device = parameters.OptionalNumber("device"),
            BackingFile = parameters.Descriptor("backingFile"),
            Offset = parameters.Bytes("offset"),
            SizeLimit = parameters.Bytes("sizeLimit"),
            ReadOnly = parameters.Flag("readOnly"),
            Autoclear = parameters.Flag("autoclear"),
            Partscan = parameters.Flag("partscan"),
            DirectIo = parameters.Flag("directIo"),
            Passthrough = parameters.OptionalChoice("passthrough", "auto", "on", "off") is { } choice ? (PassthroughChoice)choice : null,
            SectorSize = parameters.OptionalNumber("sectorSize") ?? 512,
            Reference = parameters.OptionalText("reference") ?? "",
            Group = parameters.OptionalId("group"),
            Mode = parameters.OptionalNumber("mode"),
            NoOverlap = parameters.Flag("noOverlap"),
            Transfers = parameters.List("transfers", transfer => new TransferRequest
            {
                Name = transfer.Text("name"),
                Options = transfer.Map("options"),
                Key = transfer.OptionalDescriptor("key"),
            }),
            AllowDiscards = parameters.Flag("allowDiscards"),
            SectorsFromOffset = parameters.Choice("sectorsFrom", SectorsFrom.File, SectorsFrom.Offset) == 1,
        };
        parameters.Finish();
        return VarlinkWriter.Reply(_service.Configure(request, caller), WireFormat.Default.ConfigureReply);
    }

    private ReadOnlyMemory<byte> Clear(ParameterReader parameters, ControlCaller caller) =>
        VarlinkWriter.Reply(_service.Clear(Device(parameters), caller), WireFormat.Default.ClearReply);

    private ReadOnlyMemory<byte> SetStatus(ParameterReader parameters, ControlCaller caller)
    {
        int device = parameters.Number("device");
        var change = new StatusChange
        {
            Autoclear = parameters.OptionalFlag("autoclear"),
            Partscan = parameters.OptionalFlag("partscan"),
            Offset = parameters.OptionalBytes("offset"),
            SizeLimit = parameters.OptionalBytes("sizeLimit"),
            Reference = parameters.OptionalText("reference"),
        };
        parameters.Finish();
        return Reply(_service.SetStatus(device, change, caller));
    }

    private ReadOnlyMemory<byte> ChangeBackingFile(ParameterReader parameters, ControlCaller caller)
    {
        int device = parameters.Number("device");
        FileDescriptor backingFile = parameters.Descriptor("backingFile");
        parameters.Finish();
        _service.ChangeBackingFile(device, backingFile, caller);
        return Done();
    }

    private ReadOnlyMemory<byte> SetCapacity(ParameterReader parameters, ControlCaller caller) =>
        Reply(_service.SetCapacity(Device(parameters), caller));

    private ReadOnlyMemory<byte> SetDirectIo(ParameterReader parameters, ControlCaller caller)
    {
        int device = parameters.Number("device");
        bool enable = parameters.RequiredFlag("enable");
        parameters.Finish();
        _service.SetDirectIo(device, enable, caller);
        return Done();
    }

    private ReadOnlyMemory<byte> SetSectorSize(ParameterReader parameters, ControlCaller caller)
    {
        int device = parameters.Number("device");
        int sectorSize = parameters.Number("sectorSize");
        parameters.Finish();
        return Reply(_service.SetSectorSize(device, sectorSize, caller));
    }

    private ReadOnlyMemory<byte> Rescan(ParameterReader parameters, ControlCaller caller) =>
        Reply(_service.Rescan(Device(parameters), caller));

    private ReadOnlyMemory<byte> Add(ParameterReader parameters, ControlCaller caller)
    {
        int? device = parameters.OptionalNumber("device");
        parameters.Finish();
        return VarlinkWriter.Reply(_service.Add(device, caller), WireFormat.Default.GetFreeReply);
    }

    private ReadOnlyMemory<byte> Remove(ParameterReader parameters, ControlCaller caller)
    {
        _service.Remove(Device(parameters), caller);
        return Done();
    }

    private ReadOnlyMemory<byte> Shutdown(ParameterReader parameters, ControlCaller caller)
    {
        var mode = (ShutdownMode)(parameters.OptionalChoice("mode", "refuse", "lazy", "force") ?? 0);
        parameters.Finish();
        _service.Shutdown(mode, caller);
        return Done();
    }

    private ReadOnlyMemory<byte> GetDaemon(ParameterReader parameters, ControlCaller caller)
    {
        parameters.Finish();
        return VarlinkWriter.Reply(_service.GetDaemon(caller), WireFormat.Default.DaemonStatus);
    }

    private IEnumerable<ReadOnlyMemory<byte>> Monitor(ParameterReader parameters, ControlCaller caller, Func<CancellationToken> watchForEnd)
    {
        parameters.Finish();
        return _service.Monitor(caller, watchForEnd())
            .Select(happened => VarlinkWriter.Reply(new MonitorReply(happened), WireFormat.Default.MonitorReply, continues: true));
    }

    private IEnumerable<ReadOnlyMemory<byte>> ListInParts(ParameterReader parameters, ControlCaller caller, Func<CancellationToken> watchForEnd)
    {
        parameters.Finish();
        DeviceStatus[][] parts = [.. _service.List(caller).Chunk(DevicesInPart).DefaultIfEmpty([])];
        for (int i = 0; i < parts.Length; i++)
            yield return VarlinkWriter.Reply(new ListReply(parts[i]), WireFormat.Default.ListReply, continues: i < parts.Length - 1);
    }

    private ReadOnlyMemory<byte> List(ParameterReader parameters, ControlCaller caller)
    {
        parameters.Finish();
        return VarlinkWriter.Reply(new ListReply(_service.List(caller)), WireFormat.Default.ListReply);
    }

    private ReadOnlyMemory<byte> GetStatus(ParameterReader parameters, ControlCaller caller) => VarlinkWriter.Reply(
        new GetStatusReply(_service.GetStatus(Device(parameters), caller)), WireFormat.Default.GetStatusReply);

    private ReadOnlyMemory<byte> GetFree(ParameterReader parameters, ControlCaller caller)
    {
        parameters.Finish();
        return VarlinkWriter.Reply(_service.GetFree(caller), WireFormat.Default.GetFreeReply);
    }

    private ReadOnlyMemory<byte> ListTransfers(ParameterReader parameters, ControlCaller caller)
    {
        parameters.Finish();
        return VarlinkWriter.Reply(new ListTransfersReply(_service.ListTransfers(caller)), WireFormat.Default.ListTransfersReply);
    }

    private static ReadOnlyMemory<byte> Reply(SizeReply reply) => VarlinkWriter.Reply(reply, WireFormat.Default.SizeReply);

    private static ReadOnlyMemory<byte> Done() => VarlinkWriter.Reply(new NoParameters(), WireFormat.Default.NoParameters);

    private static int Device(ParameterReader parameters)
    {
        int device = parameters.Number("device");
        parameters.Finish();
        return device;
    }
}
