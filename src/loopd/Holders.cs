using LoopDaemon.Devices;
using LoopDaemon.Linux;

namespace LoopDaemon.Daemon;

/// <summary>Who has the devices open: kernel loop devices and what is mounted from them, else processes. Found in /proc and /sys
/// by names alone: a look at the mount would wait for this daemon.</summary>
internal sealed class Holders(DeviceTable table, DeviceDirectory directory)
{
    /// <summary>A phrase for each open device.</summary>
    internal IReadOnlyList<string> Describe()
    {
        LoopDevice[] open = [.. table.Devices.Where(device => device.Openers > 0)];
        if (open.Length == 0)
            return [];
        IReadOnlyList<KernelLoop.Attached> loops = KernelLoop.List();
        IReadOnlyList<MountEntry> mounts = MountTable.Read();
        ILookup<string, string> processes = OpenFiles.Beneath(directory.Path);
        return [.. open.Select(device => Describe(device, loops, mounts, processes))];
    }

    private string Describe(
        LoopDevice device, IReadOnlyList<KernelLoop.Attached> loops, IReadOnlyList<MountEntry> mounts, ILookup<string, string> processes)
    {
        string[] paths = [directory.PathOf(device), .. (device.Binding?.Partitions ?? []).Select(partition => directory.PathOf(device, partition.Number))];
        string[] holders = [.. loops.Where(loop => paths.Contains(BackingFileOf(loop))).Select(loop => Describe(loop, mounts)),
            .. paths.SelectMany(path => processes[path]).Distinct()];
        return holders.Length == 0 ? device.Name : $"{device.Name} by {string.Join(" and ", holders)}";
    }

    /// <summary>The kernel adds a word behind the path of a file that it cannot find any more.</summary>
    private static string BackingFileOf(KernelLoop.Attached loop)
    {
        const string Deleted = " (deleted)";
        return loop.BackingFile.EndsWith(Deleted, StringComparison.Ordinal) ? loop.BackingFile[..^Deleted.Length] : loop.BackingFile;
    }

    private static string Describe(KernelLoop.Attached loop, IReadOnlyList<MountEntry> mounts)
    {
        string[] at = [.. loop.MountsIn(mounts).Select(mount => ControlCharacters.Escape(mount.MountPoint))];
        return at.Length == 0 ? loop.Path : $"{loop.Path} on {string.Join(", ", at)}";
    }
}
