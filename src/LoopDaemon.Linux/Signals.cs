namespace LoopDaemon.Linux;

/// <summary>How this process takes signals (signal(7)), as far as <see cref="System.Runtime.InteropServices.PosixSignalRegistration"/>
/// leaves it alone.</summary>
public static class Signals
{
    private const nint Default = 0;

    /// <summary>Makes SIGINT what it is by default, where the process was born ignoring it: .NET would go on ignoring it,
    /// registrations or not. To be called before anything registers for a signal or uses the console.</summary>
    public static void RestoreInterrupt()
    {
        const int Interrupt = 2;
        _ = Libc.signal(Interrupt, Default);
    }

    /// <summary>Makes SIGCHLD what it is by default. In a process that was born ignoring it, the kernel forgets how a child has
    /// ended (waitpid(2)).</summary>
    public static void RestoreChildEnd()
    {
        const int ChildEnd = 17;
        _ = Libc.signal(ChildEnd, Default);
    }
}
