using System.CommandLine;
using System.Diagnostics;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary><c>loopctl umount DIR</c>: the system's umount, and then waits until the whole chain below is gone.</summary>
internal static class UmountVerb
{
    private static readonly TimeSpan ChainTime = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(20);

    internal static Command Create(Option<string?> control)
    {
        var directory = new Argument<string>("DIR") { Description = "Where it is mounted" };
        var command = new Command("umount", "Unmount what mount mounted, and wait until its devices are cleared") { directory };
        command.SetAction(parsed => Run(MountDirectory.Resolve(parsed.GetValue(directory)!), parsed.GetValue(control)));
        return command;
    }

    private static int Run(string directory, string? control)
    {
        MountEntry mounted = MountTable.At(directory) ?? throw new CommandException($"{directory}: not mounted");
        // Anything else is none of our business, and may be hard to mount again.
        KernelLoop.Attached loop = KernelLoop.List().FirstOrDefault(attached =>
            attached.Path == mounted.Source && DeviceName.IsOnLoopdMount(attached.BackingFile))
            ?? throw new CommandException($"{directory}: is not mounted from a device of loopd: use umount");
        ExternalProgram.RunOrFail($"{directory} cannot be unmounted", "umount", "--", directory);
        var clock = Stopwatch.StartNew();
        while (IsBound(loop, control))
        {
            if (clock.Elapsed > ChainTime)
                throw new CommandException($"{directory} is unmounted, but {loop.Path} on {loop.BackingFile} is still in use");
            Thread.Sleep(Step);
        }
        return 0;
    }

    private static bool IsBound(KernelLoop.Attached loop, string? control)
    {
        if (KernelLoop.List().Contains(loop))
            return true;
        try
        {
            using Control.ControlClient client = new Daemon(control).Connect();
            return client.List().Any(device => device.Path == loop.BackingFile && device.Autoclear);
        }
        catch (CommandException)
        {
            // The daemon went with its last device.
            return false;
        }
    }
}
