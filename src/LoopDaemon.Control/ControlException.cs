using LoopDaemon.Linux;

namespace LoopDaemon.Control;

/// <summary>A control request failed. A service throws it to have the client told; the client library throws it to the
/// client's code.</summary>
public sealed class ControlException : Exception
{
    /// <summary>Makes an error with the errno that is usual for it.</summary>
    /// <param name="error">What kind of error.</param>
    /// <param name="message">A sentence that the user can act on.</param>
    public ControlException(ControlError error, string message) : this(error, UsualErrno(error), message)
    {
    }

    /// <summary>Makes an error.</summary>
    /// <param name="error">What kind of error.</param>
    /// <param name="errno">The errno that an ioctl of the kernel's loop driver would give.</param>
    /// <param name="message">A sentence that the user can act on.</param>
    /// <param name="cause">What led to it; it stays in this process.</param>
    public ControlException(ControlError error, Errno errno, string message, Exception? cause = null) : base(message, cause)
    {
        Error = error;
        Errno = errno;
    }

    /// <summary>What kind of error.</summary>
    public ControlError Error { get; }

    /// <summary>The error number.</summary>
    public Errno Errno { get; }

    private static Errno UsualErrno(ControlError error) => error switch
    {
        ControlError.NoSuchDevice => Errno.ENODEV,
        ControlError.NotBound => Errno.ENXIO,
        ControlError.Busy or ControlError.Overlapping => Errno.EBUSY,
        ControlError.DeviceExists => Errno.EEXIST,
        ControlError.Open => Errno.EAGAIN,
        ControlError.NoFreeDevice => Errno.ENOSPC,
        ControlError.PermissionDenied => Errno.EPERM,
        ControlError.Failed => Errno.EIO,
        _ => Errno.EINVAL,
    };
}
