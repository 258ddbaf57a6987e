using LoopDaemon.Linux;

namespace LoopDaemon.Control;

/// <summary>No connection to a daemon could be made.</summary>
public sealed class DaemonUnavailableException : IOException
{
    internal DaemonUnavailableException(string path, Errno errno, Exception cause) : base(Sentence(path, errno), cause)
    {
        Path = path;
        Errno = errno;
    }

    /// <summary>The socket's path.</summary>
    public string Path { get; }

    /// <summary>What connect(2) gave: ENOENT and ECONNREFUSED where no daemon runs, EACCES where the socket's mode forbids
    /// it, EAGAIN where the daemon is too busy to accept.</summary>
    public Errno Errno { get; }

    /// <summary>Whether no daemon runs there, so that starting one may help.</summary>
    public bool IsNotRunning => IsNobodyListening(Errno);

    private static bool IsNobodyListening(Errno errno) => errno is Errno.ENOENT or Errno.ECONNREFUSED;

    private static string Sentence(string path, Errno errno) => errno switch
    {
        _ when IsNobodyListening(errno) => $"no daemon answers on {path}",
        Errno.EACCES or Errno.EPERM => $"permission denied on the socket {path}",
        Errno.EAGAIN => $"the daemon on {path} is too busy to accept a connection",
        _ => $"cannot connect to the daemon on {path}: {errno.Describe()}",
    };
}
