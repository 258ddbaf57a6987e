using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine.Doctor;

/// <summary>What a daemon has left behind that was killed, and that no next one has taken over. What may belong to one that lives,
/// or is about to come back, is left alone.</summary>
internal static class Leftovers
{
    internal static IEnumerable<Finding> Examine(string socket, bool answers)
    {
        foreach (MountEntry mount in MountTable.Read().Where(mount => mount.Type == "fuse.loopd"))
        {
            string escaped = ControlCharacters.Escape(mount.MountPoint);
            switch (Probe.Mount(mount.MountPoint))
            {
                case Answer.Fine:
                    yield return new Finding(Health.Ok, $"the mount on {escaped} answers");
                    break;
                case Answer.None:
                    yield return new Finding(Health.Problem,
                        $"the mount on {escaped} does not answer: its daemon is away or hangs. If none comes back, free whoever waits for it: mount -t fusectl none /sys/fs/fuse/connections; echo 1 > /sys/fs/fuse/connections/{mount.DeviceMinor}/abort");
                    break;
                case Answer.Unknown:
                    yield return new Finding(Health.Ok, $"the mount on {escaped} is another user's, who alone can tell how it is");
                    break;
                default:
                    foreach (KernelLoop.Attached loop in KernelLoop.ListIn(mount.MountPoint))
                        yield return Orphan(loop, $"on the dead mount {escaped}");
                    yield return new Finding(Health.Problem, $"the mount on {escaped} is dead: its daemon has died, and none has gone on: umount -l {escaped}",
                        () => Explain(Unmount(mount.MountPoint)));
                    break;
            }
        }
        // Of a mount that is out of sight only the name of the file is left.
        foreach (KernelLoop.Attached loop in KernelLoop.List().Where(loop => IsDeviceName(loop.BackingFile)))
        {
            yield return Probe.BlockDevice(loop.Path) switch
            {
                Answer.Fine => new Finding(Health.Ok, $"{loop.Path} is on {loop.BackingFile.TrimStart('/')} of a loopd that ends with its last close"),
                Answer.None => new Finding(Health.Warning, $"{loop.Path} does not answer: the loopd under it is away or hangs"),
                Answer.Unknown => new Finding(Health.Warning, $"{loop.Path} is on {loop.BackingFile.TrimStart('/')} of a loopd, and only root can tell how it is"),
                _ => Orphan(loop, "of a mount that is gone"),
            };
        }
        if (!answers)
        {
            foreach (Finding stale in StaleFiles(socket))
                yield return stale;
        }
    }

    private static Finding Orphan(KernelLoop.Attached loop, string where)
    {
        string[] mounts = [.. loop.MountsIn(MountTable.Read()).Select(mount => ControlCharacters.Escape(mount.MountPoint))];
        string mounted = mounts.Length > 0 ? $", with {string.Join(", ", mounts)} mounted from it" : "";
        return new Finding(Health.Problem, $"{loop.Path} is left over on {Path.GetFileName(loop.BackingFile)} {where}{mounted}: umount what is mounted, then losetup -d {loop.Path}", () => KernelLoopChain.Detach(loop));
    }

    private static IEnumerable<Finding> StaleFiles(string socket)
    {
        string lockFile = socket + ".lock";
        if (FileDescriptor.TryOpen(lockFile, OpenFlags.ReadOnly, out FileDescriptor? held) == Errno.None)
        {
            using (held)
            {
                if (held!.Lock(wait: false) != Errno.None)
                {
                    yield return new Finding(Health.Problem, $"a loopd holds {lockFile}, and does not answer on {socket}");
                    yield break;
                }
            }
        }
        string[] stale = [.. ((string[])[socket, lockFile]).Where(File.Exists)];
        if (stale.Length > 0)
            yield return new Finding(Health.Warning, $"{string.Join(" and ", stale)} {(stale.Length > 1 ? "are" : "is")} left over from a loopd that was killed; the next one does not mind", () => Delete(stale));
        string directory = RuntimeDirectory.DefaultMount;
        if (MountTable.At(directory) is null && Directory.Exists(directory) && !Directory.EnumerateFileSystemEntries(directory).Any())
            yield return new Finding(Health.Warning, $"the empty directory {directory} is left over; the next loopd does not mind", () => DeleteDirectory(directory));
    }

    private static string? Delete(string[] files)
    {
        try
        {
            foreach (string file in files)
                File.Delete(file);
            return null;
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            return refused.Message;
        }
    }

    private static string? DeleteDirectory(string directory)
    {
        try
        {
            Directory.Delete(directory);
            return null;
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            return refused.Message;
        }
    }

    private static Errno Unmount(string mountPoint) => Credentials.IsRoot ? MountTable.Unmount(mountPoint, detach: true)
        : ExternalProgram.Run("fusermount3", "-u", "-z", "--", mountPoint).ExitCode == 0 ? Errno.None : Errno.EPERM;

    private static string? Explain(Errno error) => error == Errno.None ? null : error.Describe();

    private static bool IsDeviceName(string backingFile)
    {
        string name = backingFile.Split(' ')[0];
        return name.StartsWith("/loop", StringComparison.Ordinal) && DeviceName.IsOne(name[1..]);
    }
}
