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
    /// returns or throws: what is needed longer is duplicated (<see cref="FileDescriptor.Duplicate()"/>).</param>
    /// <param name="caller">Who asks.</param>
    /// <exception cref="ControlException">The device cannot be bound.</exception>
    ConfigureReply Configure(ConfigureRequest request, ControlCaller caller);

    /// <summary>Takes a device's backing file away, at once or at its last close.</summary>
    /// <param name="device">The device's number, not negative.</param>
    /// <param name="caller">Who asks.</param>
    /// <exception cref="ControlException">The device is not bound, or not the caller's.</exception>
    ClearReply Clear(int device, ControlCaller caller);

    /// <summary>Changes the status of a device.</summary>
    /// <param name="device">The device's number, not negative.</param>
    /// <param name="change">What to change.</param>
    /// <param name="caller">Who asks.</param>
    /// <exception cref="ControlException">The device is not bound, or not the caller's, or does not take the change.</exception>
    SizeReply SetStatus(int device, StatusChange change, ControlCaller caller);

    /// <summary>Gives a read-only device another backing file of the same size.</summary>
    /// <param name="device">The device's number, not negative.</param>
    /// <param name="backingFile">The opened file; it belongs to the server as in <see cref="Configure"/>.</param>
    /// <param name="caller">Who asks.</param>
    /// <exception cref="ControlException">The device is not bound, not read-only, or not the caller's, or the file will not do.</exception>
    void ChangeBackingFile(int device, FileDescriptor backingFile, ControlCaller caller);

    /// <summary>Takes over the size that the backing file has now.</summary>
    /// <param name="device">The device's number, not negative.</param>
    /// <param name="caller">Who asks.</param>
    /// <exception cref="ControlException">The device is not bound, or not the caller's.</exception>
    SizeReply SetCapacity(int device, ControlCaller caller);

    /// <summary>Turns direct I/O on the backing file on or off.</summary>
    /// <param name="device">The device's number, not negative.</param>
    /// <param name="enable">On or off.</param>
    /// <param name="caller">Who asks.</param>
    /// <exception cref="ControlException">The device is not bound, or not the caller's, or its file cannot do it.</exception>
    void SetDirectIo(int device, bool enable, ControlCaller caller);

    /// <summary>Sets the logical sector size.</summary>
    /// <param name="device">The device's number, not negative.</param>
    /// <param name="sectorSize">Bytes, a power of two from 512 to 4096.</param>
    /// <param name="caller">Who asks.</param>
    /// <exception cref="ControlException">The device is not bound, or not the caller's, or open.</exception>
    SizeReply SetSectorSize(int device, int sectorSize, ControlCaller caller);

    /// <summary>Reads the partition table anew.</summary>
    /// <param name="device">The device's number, not negative.</param>
    /// <param name="caller">Who asks.</param>
    /// <exception cref="ControlException">The device is not bound, not the caller's, or a partition is open.</exception>
    SizeReply Rescan(int device, ControlCaller caller);

    /// <summary>Makes a device.</summary>
    /// <param name="device">Its number, not negative; null for the lowest that does not exist.</param>
    /// <param name="caller">Who asks.</param>
    /// <exception cref="ControlException">It exists, or no more may be made.</exception>
    GetFreeReply Add(int? device, ControlCaller caller);

    /// <summary>Removes a device that is neither bound nor open.</summary>
    /// <param name="device">The device's number, not negative.</param>
    /// <param name="caller">Who asks.</param>
    /// <exception cref="ControlException">There is none, or it is in use, or it always exists.</exception>
    void Remove(int device, ControlCaller caller);

    /// <summary>What happens to the devices that the caller may see. The first event is <see cref="EventKind.Ready"/>;
    /// getting the next one blocks until there is one, or until the end.</summary>
    /// <param name="caller">Who asks.</param>
    /// <param name="ended">The client is gone, or the server stops.</param>
    IEnumerable<DeviceEvent> Monitor(ControlCaller caller, CancellationToken ended);

    /// <summary>The daemon itself.</summary>
    /// <param name="caller">Who asks.</param>
    DaemonStatus GetDaemon(ControlCaller caller);

    /// <summary>Ends the daemon, after the reply.</summary>
    /// <param name="mode">What is done about devices that are open.</param>
    /// <param name="caller">Who asks.</param>
    /// <exception cref="ControlException">A device is open, or the caller may not.</exception>
    void Shutdown(ShutdownMode mode, ControlCaller caller);

    /// <summary>The bound devices that the caller may see, by number.</summary>
    /// <param name="caller">Who asks.</param>
    IReadOnlyList<DeviceStatus> List(ControlCaller caller);

    /// <summary>One bound device.</summary>
    /// <param name="device">The device's number, not negative.</param>
    /// <param name="caller">Who asks.</param>
    /// <exception cref="ControlException">The device is not bound, or not the caller's.</exception>
    DeviceStatus GetStatus(int device, ControlCaller caller);

    /// <summary>The first free device; one is made where all that exist are bound.</summary>
    /// <param name="caller">Who asks.</param>
    /// <exception cref="ControlException">All devices are bound, and no more may be made.</exception>
    GetFreeReply GetFree(ControlCaller caller);

    /// <summary>The transfers that <see cref="Configure"/> accepts.</summary>
    /// <param name="caller">Who asks.</param>
    IReadOnlyList<TransferDescription> ListTransfers(ControlCaller caller);
}
