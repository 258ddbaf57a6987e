using System.Diagnostics;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary><c>loopctl umount DIR</c>: the system's umount, and then waits until the whole chain below is gone.</summary>
internal sealed class UmountVerb : Verb
{
    private static readonly TimeSpan ChainTime = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(20);

    internal override string Name => "umount";

    internal override string Operands => "DIR";

    internal override string Summary => "unmount what mount mounted, and wait until its devices are cleared";

    protected override int Do(IReadOnlyList<string> operands)
    {
        string directory = MountDirectory.Resolve(operands[0]);
        MountEntry mounted = MountTable.At(directory) ?? throw new CommandException($"{directory}: not mounted");
        // Anything else is none of our business, and may be hard to mount again.
        KernelLoop.Attached loop = KernelLoop.List().FirstOrDefault(attached =>
            attached.Path == mounted.Source && DeviceName.IsOnLoopdMount(attached.BackingFile))
            ?? throw new CommandException($"{directory}: is not mounted from a device of loopd: use umount");
        ExternalProgram.RunOrFail($"{directory} cannot be unmounted", "umount", "--", directory);
        var clock = Stopwatch.StartNew();
        while (IsBound(loop))
        {
            if (clock.Elapsed > ChainTime)
                throw new CommandException($"{directory} is unmounted, but {loop.Path} on {loop.BackingFile} is still in use");
            Thread.Sleep(Step);
        }
        return 0;
    }

    private bool IsBound(KernelLoop.Attached loop)
    {
        if (KernelLoop.List().Contains(loop))
            return true;
        try
        {
            using ControlClient client = Daemon.Connect();
            return client.List().Any(device => device.Path == loop.BackingFile && device.Autoclear);
        }
        catch (CommandException)
        {
            // The daemon went with its last device.
            return false;
        }
    }
}
