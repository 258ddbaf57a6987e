namespace LoopDaemon.CommandLine;

/// <summary>The name that this program was called by: it is mount(8)'s helper under another one.</summary>
internal static class ProgramName
{
    /// <summary>The file name in the first argument, that of a symbolic link where it was called by one. The runtime does not
    /// tell it under all circumstances; /proc does (proc_pid_cmdline(5)).</summary>
    internal static string Called()
    {
        try
        {
            return Path.GetFileName(File.ReadAllText("/proc/self/cmdline").Split('\0')[0]);
        }
        catch (IOException)
        {
            return Path.GetFileName(Environment.GetCommandLineArgs()[0]);
        }
    }
}
