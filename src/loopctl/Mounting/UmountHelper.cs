using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary><c>umount.loopd</c>, which umount(8) calls for what was mounted with <c>uhelper=loopd</c>. A plain umount takes the
/// chain down too; this one returns only when it is down.</summary>
internal sealed class UmountHelper : HelperCommand
{
    internal const string ProgramName = "umount.loopd";

    private string _target = "";
    private bool _lazy;

    internal UmountHelper() => OwnOptions =
    [
        new OptionGroup("Options",
        [
            new Option("-f --force", "force it (of use for network file systems alone)", () => Handed.Add("-f")),
            new Option("-l --lazy", "take it out of sight now, and end it when nobody uses it any more", () => _lazy = true),
            new Option("-r --read-only", "if it cannot be unmounted, make it read-only", () => Handed.Add("-r")),
            new Option("-t --types", "TYPE", "is taken, and changes nothing", _ => { }),
            .. CommonArguments,
        ]),
    ];

    internal override string Name => ProgramName;

    internal override string Operands => "DIR|DEV";

    internal override string Summary => "unmount what mount.loopd mounted, and wait until its devices are cleared";

    protected override IReadOnlyList<OptionGroup> OwnOptions { get; }

    protected override void Check(IReadOnlyList<string> operands) => _target = operands[0];

    protected override void Do()
    {
        if (_lazy)
            Handed.Add("-l");
        if (_lazy || IsInOtherNamespace)
        {
            ExternalProgram.RunOrFail($"{_target} cannot be unmounted", "umount", ["-i", .. Handed, "--", _target]);
            return;
        }
        string path = MountDirectory.Resolve(_target);
        MountEntry mounted = MountTable.At(path) ?? MountTable.Read().LastOrDefault(entry => entry.Source == path)
            ?? throw new CommandException($"{_target}: not mounted");
        new ImageUnmount(Daemon, mounted).Run(Handed);
        Tell($"{mounted.MountPoint} is unmounted, and the devices below are cleared");
    }
}
