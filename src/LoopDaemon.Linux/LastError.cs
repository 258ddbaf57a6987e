using System.Runtime.InteropServices;

namespace LoopDaemon.Linux;

/// <summary>The errno of the last P/Invoke on this thread; read it before anything else runs.</summary>
internal static class LastError
{
    internal static Errno Get() => (Errno)Marshal.GetLastPInvokeError();
}
