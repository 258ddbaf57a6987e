namespace LoopDaemon.Control;

/// <summary>The errors of the interface io.loopdaemon.Control; on the wire each has its name here.</summary>
public enum ControlError
{
    /// <summary>Anything that has no name of its own; the errno says what (EIO).</summary>
    Failed,
    /// <summary>There is no device of that number (ENODEV).</summary>
    NoSuchDevice,
    /// <summary>The device has no backing file (ENXIO).</summary>
    NotBound,
    /// <summary>The device has a backing file already, or is in use (EBUSY).</summary>
    Busy,
    /// <summary>There is a device of that number already (EEXIST).</summary>
    DeviceExists,
    /// <summary>Another device shows a part of the same backing file (EBUSY).</summary>
    Overlapping,
    /// <summary>The device is open, and what the kernel holds of it would be of another place (EAGAIN).</summary>
    Open,
    /// <summary>All devices are bound, and no more may be made (ENOSPC).</summary>
    NoFreeDevice,
    /// <summary>A value is out of its range, or does not go with another one (EINVAL).</summary>
    InvalidArgument,
    /// <summary>No transfer of that name is registered (EINVAL).</summary>
    UnknownTransfer,
    /// <summary>A key cannot be read, or does not fit its transfer (EINVAL).</summary>
    BadKey,
    /// <summary>The backing file is of a kind or in a state that no device can be made from (EINVAL).</summary>
    BadBackingFile,
    /// <summary>The caller may not do this (EPERM).</summary>
    PermissionDenied,
}
