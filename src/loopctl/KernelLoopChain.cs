using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary>What the kernel has built on a device of ours: a loop device of its own, and what is mounted from that.</summary>
internal static class KernelLoopChain
{
    /// <summary>Takes it apart from the top: what can still be written is written.</summary>
    /// <returns>Why it could not be, or null.</returns>
    internal static string? Detach(KernelLoop.Attached loop)
    {
        foreach (MountEntry mount in loop.MountsIn(MountTable.Read()).Reverse())
        {
            if (ExternalProgram.Run("umount", "--", mount.MountPoint).ExitCode != 0 && ExternalProgram.Run("umount", "-l", "--", mount.MountPoint) is { ExitCode: not 0 } failed)
                return failed.Output;
        }
        // One that clears itself is gone by now.
        return KernelLoop.List().Contains(loop) && ExternalProgram.Run("losetup", "-d", loop.Path) is { ExitCode: not 0 } refused ? refused.Output : null;
    }
}
