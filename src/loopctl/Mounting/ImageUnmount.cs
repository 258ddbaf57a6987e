using System.Diagnostics;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary>Unmounts an image by the system's umount, and then waits until the whole chain below is gone.</summary>
internal sealed class ImageUnmount
{
    private static readonly TimeSpan ChainTime = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(20);

    private readonly Daemon _daemon;
    private readonly MountEntry _mounted;
    private readonly KernelLoop.Attached _loop;

    /// <param name="daemon">The daemon.</param>
    /// <param name="mounted">What is to be unmounted.</param>
    /// <exception cref="CommandException">It is not mounted from a device of loopd. Anything else is none of our business,
    /// and may be hard to mount again.</exception>
    internal ImageUnmount(Daemon daemon, MountEntry mounted)
    {
        (_daemon, _mounted) = (daemon, mounted);
        _loop = BelowOrFail(mounted);
    }

    /// <summary>The kernel's device on a device of loopd that something is mounted from.</summary>
    /// <exception cref="CommandException">There is none.</exception>
    internal static KernelLoop.Attached BelowOrFail(MountEntry mounted) =>
        KernelLoop.List().FirstOrDefault(attached => attached.Path == mounted.Source && DeviceName.IsOnLoopdMount(attached.BackingFile))
        ?? throw new CommandException($"{mounted.MountPoint}: is not mounted from a device of loopd: use umount");

    /// <summary>Unmounts it. What stays mounted, read-only (umount -r) or elsewhere too, is not waited for.</summary>
    /// <param name="arguments">Further arguments for umount(8).</param>
    /// <exception cref="CommandException">It cannot be unmounted, or something holds on to the devices.</exception>
    internal void Run(params IEnumerable<string> arguments)
    {
        ExternalProgram.RunOrFail($"{_mounted.MountPoint} cannot be unmounted", "umount", ["-i", .. arguments, "--", _mounted.MountPoint]);
        var clock = Stopwatch.StartNew();
        while (!MountTable.Read().Any(mount => mount.Source == _mounted.Source) && IsBound())
        {
            if (clock.Elapsed > ChainTime)
                throw new CommandException($"{_mounted.MountPoint} is unmounted, but {_loop.Path} on {_loop.BackingFile} is still in use");
            Thread.Sleep(Step);
        }
    }

    private bool IsBound()
    {
        if (KernelLoop.List().Contains(_loop))
            return true;
        try
        {
            using ControlClient client = _daemon.Connect();
            return client.List().Any(device => device.Path == _loop.BackingFile && device.Autoclear);
        }
        catch (CommandException)
        {
            // The daemon went with its last device.
            return false;
        }
    }
}
