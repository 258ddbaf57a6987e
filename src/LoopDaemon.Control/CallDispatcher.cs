using System.Text.Json;
using LoopDaemon.Control.Varlink;
using LoopDaemon.Linux;

namespace LoopDaemon.Control;

/// <summary>Turns one message into one call of the service, and its result or error into one reply.</summary>
internal sealed class CallDispatcher
{
    private readonly IControlService _service;
    private readonly ServiceInfo _info;
    private readonly Action<string, Exception?> _log;
    private readonly Dictionary<string, Method> _methods;

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
            [VarlinkInterfaces.Control + ".List"] = List,
            [VarlinkInterfaces.Control + ".GetStatus"] = GetStatus,
            [VarlinkInterfaces.Control + ".GetFree"] = GetFree,
            [VarlinkInterfaces.Control + ".ListTransfers"] = ListTransfers,
        };
    }

    private delegate ReadOnlyMemory<byte> Method(ParameterReader parameters, ControlCaller caller);

    /// <summary>The full names of all methods.</summary>
    internal IReadOnlyCollection<string> Methods => _methods.Keys;

    /// <summary>Makes the call that a message asks for.</summary>
    /// <returns>The reply with its NUL, or null where the caller wants none.</returns>
    /// <exception cref="VarlinkProtocolException">The message is no call.</exception>
    internal ReadOnlyMemory<byte>? Handle(VarlinkMessage message, ControlCaller caller)
    {
        using JsonDocument json = VarlinkCall.ParseJson(message.Json);
        var call = VarlinkCall.Read(json.RootElement);
        ReadOnlyMemory<byte> reply = Reply(call, message.Descriptors, caller);
        return call.OneWay ? null : reply;
    }

    private ReadOnlyMemory<byte> Reply(VarlinkCall call, IReadOnlyList<FileDescriptor> descriptors, ControlCaller caller)
    {
        try
        {
            if (!_methods.TryGetValue(call.Method, out Method? method))
            {
                throw VarlinkInterfaces.Names.Contains(call.Interface)
                    ? VarlinkErrorException.MethodNotFound(call.Method)
                    : VarlinkErrorException.InterfaceNotFound(call.Interface);
            }
            if (call.Upgrade)
                throw VarlinkErrorException.MethodNotImplemented(call.Method);

            ReadOnlyMemory<byte> reply = method(new ParameterReader(call.Parameters, descriptors), caller);
            return reply.Length <= VarlinkSocket.MaxMessageBytes + 1
                ? reply : throw new ControlException(ControlError.Failed, Errno.EMSGSIZE, "the answer is longer than a message may be");
        }
        catch (VarlinkErrorException e)
        {
            return VarlinkWriter.Error(e);
        }
        catch (ControlException e)
        {
            return Error(e.Error, e.Errno, e.Message);
        }
        catch (LinuxException e)
        {
            return Error(ControlError.Failed, e.Errno, e.Message);
        }
        catch (Exception e)
        {
            // What went wrong inside the daemon is for its log; the client may be anyone.
            _log($"{call.Method} failed for process {caller.Peer.ProcessId} of user {caller.Peer.UserId}", e);
            return Error(ControlError.Failed, Errno.EIO, "the daemon failed to do this; its log says why");
        }
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

    private static int Device(ParameterReader parameters)
    {
        int device = parameters.Number("device");
        parameters.Finish();
        return device;
    }
}
