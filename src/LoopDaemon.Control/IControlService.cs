using LoopDaemon.Linux;

namespace LoopDaemon.Control;

/// <summary>What the daemon does when it is asked through the control socket. Calls of different connections come at the
/// same time; those of one connection come in order. An implementation throws <see cref="ControlException"/> to have the
/// client told; a <see cref="LinuxException"/> becomes <see cref="ControlError.Failed"/> with its errno and message, and
/// any other exception becomes EIO with a sentence that says nothing of it, and is logged.</summary>
public interface IControlService
{
    /// <summary>Binds a device.</summary>
    /// <param name="request">What to bind. Its descriptors belong to the server, which closes them when the call
    /// returns or throws: what is needed longer is duplicated (<see cref="FileDescriptor.Duplicate"/>).</param>
    /// <param name="caller">Who asks.</param>
    /// <exception cref="ControlException">The device cannot be bound.</exception>
    ConfigureReply Configure(ConfigureRequest request, ControlCaller caller);

    /// <summary>Takes a device's backing file away, at once or at its last close.</summary>
    /// <param name="device">The device's number, not negative.</param>
    /// <param name="caller">Who asks.</param>
    /// <exception cref="ControlException">The device is not bound, or not the caller's.</exception>
    ClearReply Clear(int device, ControlCaller caller);

    /// <summary>The bound devices that the caller may see, by number.</summary>
    /// <param name="caller">Who asks.</param>
    IReadOnlyList<DeviceStatus> List(ControlCaller caller);

    /// <summary>One bound device.</summary>
    /// <param name="device">The device's number, not negative.</param>
    /// <param name="caller">Who asks.</param>
    /// <exception cref="ControlException">The device is not bound, or not the caller's.</exception>
    DeviceStatus GetStatus(int device, ControlCaller caller);

    /// <summary>The first free device.</summary>
    /// <param name="caller">Who asks.</param>
    /// <exception cref="ControlException">All devices are bound.</exception>
    GetFreeReply GetFree(ControlCaller caller);

    /// <summary>The transfers that <see cref="Configure"/> accepts.</summary>
    /// <param name="caller">Who asks.</param>
    IReadOnlyList<TransferDescription> ListTransfers(ControlCaller caller);
}
