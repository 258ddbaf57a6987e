using System.Runtime.InteropServices;

namespace LoopDaemon.Linux;

/// <summary>Error numbers of Linux (<c>asm-generic/errno-base.h</c>, <c>asm-generic/errno.h</c>) that this project
/// raises or tells apart. A value without a name here is still valid: <see cref="ErrnoText.Name"/> prints its number.</summary>
public enum Errno
{
    /// <summary>Success.</summary>
    None = 0,
    /// <summary>Operation not permitted.</summary>
    EPERM = 1,
    /// <summary>No such file or directory.</summary>
    ENOENT = 2,
    /// <summary>Interrupted system call.</summary>
    EINTR = 4,
    /// <summary>Input/output error.</summary>
    EIO = 5,
    /// <summary>No such device or address: the device is not bound.</summary>
    ENXIO = 6,
    /// <summary>Argument list too long; here: a record that is too long.</summary>
    E2BIG = 7,
    /// <summary>Bad file descriptor.</summary>
    EBADF = 9,
    /// <summary>Resource temporarily unavailable.</summary>
    EAGAIN = 11,
    /// <summary>Cannot allocate memory.</summary>
    ENOMEM = 12,
    /// <summary>Permission denied.</summary>
    EACCES = 13,
    /// <summary>Device or resource busy.</summary>
    EBUSY = 16,
    /// <summary>File exists.</summary>
    EEXIST = 17,
    /// <summary>No such device.</summary>
    ENODEV = 19,
    /// <summary>Not a directory.</summary>
    ENOTDIR = 20,
    /// <summary>Is a directory.</summary>
    EISDIR = 21,
    /// <summary>Invalid argument.</summary>
    EINVAL = 22,
    /// <summary>Too many open files in system.</summary>
    ENFILE = 23,
    /// <summary>Inappropriate ioctl for device.</summary>
    ENOTTY = 25,
    /// <summary>File too large.</summary>
    EFBIG = 27,
    /// <summary>No space left on device: a write at or past the end of a device.</summary>
    ENOSPC = 28,
    /// <summary>Read-only file system: a write to a read-only device.</summary>
    EROFS = 30,
    /// <summary>Numerical result out of range.</summary>
    ERANGE = 34,
    /// <summary>Function not implemented; to FUSE's kernel side: never ask again.</summary>
    ENOSYS = 38,
    /// <summary>Too many levels of symbolic links; to FUSE passthrough: a file system that is stacked already.</summary>
    ELOOP = 40,
    /// <summary>Value too large for its data type.</summary>
    EOVERFLOW = 75,
    /// <summary>Protocol error.</summary>
    EPROTO = 71,
    /// <summary>Message too long.</summary>
    EMSGSIZE = 90,
    /// <summary>Operation not supported.</summary>
    EOPNOTSUPP = 95,
    /// <summary>Software caused connection abort.</summary>
    ECONNABORTED = 103,
    /// <summary>Connection reset by peer.</summary>
    ECONNRESET = 104,
    /// <summary>Transport endpoint is not connected: a FUSE mount whose daemon is gone.</summary>
    ENOTCONN = 107,
    /// <summary>Connection timed out.</summary>
    ETIMEDOUT = 110,
    /// <summary>Connection refused.</summary>
    ECONNREFUSED = 111,
}

/// <summary>Names and sentences for error numbers.</summary>
public static class ErrnoText
{
    /// <summary>The symbol, such as <c>ENOENT</c>, or <c>E123</c> for a number without a name here.</summary>
    public static string Name(this Errno errno) => Enum.IsDefined(errno) ? errno.ToString() : $"E{(int)errno}";

    /// <summary>The C library's sentence for an error number (<c>strerror</c>), such as "No such file or directory".</summary>
    public static string Describe(this Errno errno) => Marshal.GetPInvokeErrorMessage((int)errno);
}
