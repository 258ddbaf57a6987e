namespace LoopDaemon.Linux;

/// <summary>Tells when another process has ended (pidfd_open(2), Linux 5.3).</summary>
public static class ProcessEnd
{
    /// <summary>A descriptor that becomes readable with the end of a process; null where there is no such process.</summary>
    public static FileDescriptor? Watch(int process) => Libc.pidfd_open(process) is var fd and >= 0 ? new FileDescriptor(fd) : null;
}
