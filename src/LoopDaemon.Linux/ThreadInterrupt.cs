using System.Runtime.InteropServices;

namespace LoopDaemon.Linux;

/// <summary>Gets a thread out of a system call that waits: the call then returns EINTR. A signal does it, with a handler that
/// does nothing and without SA_RESTART (signal(7)), which .NET has no means for.</summary>
public static class ThreadInterrupt
{
    /// <summary>A real-time signal that neither the C library (32, 33) nor .NET (34) uses.</summary>
    private const int Signal = 42;

    private static readonly bool Installed = Install();

    /// <summary>Makes the calling thread one that can be interrupted.</summary>
    /// <returns>Its number, for <see cref="Send"/>.</returns>
    public static int Enter() => Installed ? Libc.gettid() : 0;

    /// <summary>Interrupts a thread of this process, if it waits in a call; otherwise nothing happens.</summary>
    public static void Send(int thread) => _ = Libc.tgkill(Libc.getpid(), thread, Signal);

    private static unsafe bool Install()
    {
        // Managed code must not run in a signal handler. Any harmless function of the C library will do as one that does
        // nothing: getpid(2) takes no argument, changes nothing and may be called there (signal-safety(7)).
        nint nothing = NativeLibrary.GetExport(NativeLibrary.Load("libc", typeof(Libc).Assembly, null), "getpid");
        var action = new Libc.SignalAction { Handler = nothing };
        return Libc.sigaction(Signal, &action, null) == 0;
    }
}
