using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary><c>loopctl umount DIR</c>: the system's umount, and then waits until the whole chain below is gone.</summary>
internal sealed class UmountVerb : Verb
{
    internal override string Name => "umount";

    internal override string Operands => "DIR";

    internal override string Summary => "unmount what mount mounted, and wait until its devices are cleared";

    protected override int Do(IReadOnlyList<string> operands)
    {
        string directory = MountDirectory.Resolve(operands[0]);
        MountEntry mounted = MountTable.At(directory) ?? throw new CommandException($"{directory}: not mounted");
        new ImageUnmount(Daemon, mounted).Run();
        return 0;
    }
}
