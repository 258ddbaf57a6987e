using System.Globalization;
using LoopDaemon.Linux;

namespace LoopDaemon.Daemon.Survival;

/// <summary><c>loopd --check-state</c>: to be asked of a new version before the old daemon is told to go.</summary>
internal static class StateCheck
{
    /// <summary>Prints what it finds.</summary>
    /// <returns>0 where this program can go on, or there is nothing to go on with; 1 otherwise.</returns>
    internal static int Run(LoopdOptions options)
    {
        string socket = Path.GetFullPath(options.Control);
        if (Holder(socket) is not { } process)
        {
            Console.WriteLine($"no daemon runs on {socket}: there is nothing to go on with");
            return 0;
        }
        if (FindState(process) is not { } state)
        {
            Console.WriteLine($"the daemon on {socket} (process {process}) keeps no state: it ends with its mount, and the next one begins anew");
            return 0;
        }
        using (state)
        {
            DaemonRecord daemon = StateKeeper.ReadDaemon(state);
            int devices = StateKeeper.CountDevices(state);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"the state of the daemon on {socket} (process {process}, loopd {daemon.Program}) is understood: version {daemon.Version}, {devices} devices on {daemon.MountPoint}"));
            return 0;
        }
    }

    private static int? Holder(string socket) =>
        ExclusiveLock.FindHolder(socket + ".lock") is { } process && Directory.Exists($"/proc/{process}") ? process : null;

    /// <summary>The state is in a memory file, which has no name but among the descriptors of its daemon.</summary>
    private static StateFile? FindState(int process)
    {
        foreach (string link in Directory.EnumerateFiles($"/proc/{process}/fd"))
        {
            if (new FileInfo(link).LinkTarget == StateFile.LinkTarget)
                return new StateFile(FileDescriptor.Open(link, OpenFlags.ReadOnly));
        }
        return null;
    }
}
