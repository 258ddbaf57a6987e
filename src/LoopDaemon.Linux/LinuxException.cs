namespace LoopDaemon.Linux;

/// <summary>A system call, or a rule of this project that answers like one, failed with an error number.</summary>
public sealed class LinuxException : IOException
{
    /// <summary>Makes an exception whose message says what was tried and why it failed.</summary>
    /// <param name="errno">The error number.</param>
    /// <param name="what">What was tried, naming the file or device: "cannot open disk.img".</param>
    public LinuxException(Errno errno, string what)
        : base($"{what}: {errno.Describe()}") => Errno = errno;

    private LinuxException(string message, Errno errno) : base(message) => Errno = errno;

    /// <summary>The error number.</summary>
    public Errno Errno { get; }

    /// <summary>Makes an exception whose message is a whole sentence of its own.</summary>
    public static LinuxException WithMessage(Errno errno, string message) => new(message, errno);
}
