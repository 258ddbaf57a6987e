using LoopDaemon.Daemon.Survival;
using LoopDaemon.Linux;

namespace LoopDaemon.Daemon.Supervision;

/// <summary>What a daemon leaves that nobody goes on with. The kernel's tables tell: the mount itself would not answer.</summary>
internal static class Remains
{
    /// <summary>Sentences that say what is dead from now on, and what to do.</summary>
    /// <param name="mountPoint">Where the devices were.</param>
    internal static string Describe(string mountPoint)
    {
        if (MountTable.At(mountPoint) is not { Type: "fuse.loopd" })
            return $"{mountPoint} is out of sight already; what was still open on it is dead from now on";
        string[] loops = [.. KernelLoop.ListIn(mountPoint).Select(loop => loop.Path)];
        string onTop = loops.Length == 0 ? "" : $", and so are the kernel's loop devices on its files: {string.Join(", ", loops)}";
        return $"{mountPoint} is dead from now on, and answers with \"Transport endpoint is not connected\"{onTop}. "
            + $"Unmount what is mounted from there, then run loopctl doctor --fix, or umount -l {mountPoint}";
    }

    /// <summary>Where the devices are, as the daemon has noted it; null where that cannot be read.</summary>
    /// <param name="held">What it has left.</param>
    internal static string? MountPointOf(HeldDescriptors held)
    {
        if (held.Find(DescriptorStore.State) is not { } state)
            return null;
        try
        {
            using var file = new StateFile(state.Duplicate());
            return StateKeeper.ReadDaemon(file).MountPoint;
        }
        catch (LinuxException)
        {
            return null;
        }
    }
}
