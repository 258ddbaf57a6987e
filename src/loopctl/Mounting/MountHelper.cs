using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary><c>mount.loopd</c>, which mount(8) calls for <c>mount -t loopd</c> and for lines of that type in fstab(5). It does
/// what <c>loopctl mount</c> does, and hands on to the file system's own mount what it does not know.</summary>
internal sealed class MountHelper : HelperCommand
{
    internal const string ProgramName = "mount.loopd";

    private const string Type = "loopd";

    /// <summary>Options that are for mount(8) or systemd alone, and some helpers get all the same.</summary>
    private static readonly string[] Generic =
        ["auto", "noauto", "user", "nouser", "users", "owner", "group", "nofail", "_netdev", "defaults", "loop", "rw"];

    private readonly BindOptions _bind = new("--device-offset", TransferSpelling.MountOptions);
    private readonly OptionWords _words = new();
    private readonly List<string> _options = [], _handedOn = [];
    private string? _typeGiven, _fileSystem, _socket;
    private string _path = "", _directory = "";
    private bool _fake, _remount;

    internal MountHelper()
    {
        OwnOptions =
        [
            new OptionGroup("Options",
            [
                new Option("-o --options", "OPTIONS", "mount options, see mount.loopd(8)", value => _options.AddRange(MountOptionText.Split(value))),
                new Option("-t --types", "TYPE", $"{Type}, or {Type}.TRANSFER", value => _typeGiven = value),
                new Option("-f --fake", "check everything, and mount nothing", () => _fake = true),
                new Option("-s --sloppy", "tolerate options that the file system does not know", () => Handed.Add("-s")),
                .. CommonArguments,
            ]),
        ];
        TransferOptions transfers = _bind.Transfers;
        _words.Add(transfers.TransferOption, "transfer", "encryption");
        _words.Add(transfers.KeyFileOption, "keyfile", "key-file");
        _words.Add(_bind.OffsetOption, "device-offset");
        _words.Add(_bind.SizeLimitOption, "device-size");
        _words.Add(_bind.PassthroughOption);
        _words.Add(transfers.AllowDiscardsOption);
        _words.Add(transfers.SectorsFromOption);
        foreach (Option option in transfers.PassphraseOptions)
            _words.Add(option);
        _words.Add(_bind.ReadOnlyOption, "ro");
        _words.Add(new Option("--fstype", "TYPE", "the file system's type", value => _fileSystem = value));
        _words.Add(new Option("--control", "SOCKET", "the daemon's control socket", value => _socket = value));
    }

    internal override string Name => ProgramName;

    internal override string Operands => "SPEC DIR";

    internal override string Summary => "mount an image through its transfers, for mount -t loopd and fstab";

    internal override string Description =>
        $"Mount the image SPEC on DIR as {Program} mount does; mount(8) calls this program for the type {Type}. Its options are "
        + "transfer=, keyfile=, fstype= and others, which the manual page explains; those that it does not know go on to the file system.";

    internal override IReadOnlyList<(string What, string How)> Examples =>
    [
        ("By hand", "mount -t loopd -o transfer=xor,keyfile=/etc/disk.key,fstype=ext4 /srv/disk.img /mnt"),
        ("In /etc/fstab", "/srv/disk.img /mnt loopd transfer=xor,keyfile=/etc/disk.key,fstype=ext4,x-systemd.requires=loopd.service 0 0"),
    ];

    /// <summary>The options that are this helper's own.</summary>
    internal IEnumerable<string> OptionNames => _words.Names;

    protected override IReadOnlyList<OptionGroup> OwnOptions { get; }

    protected override void Check(IReadOnlyList<string> operands)
    {
        (_path, _directory) = (operands[0], IsInOtherNamespace ? operands[1] : MountDirectory.Resolve(operands[1]));
        // The last of ro and rw holds.
        string? access = _options.LastOrDefault(option => option is "ro" or "rw");
        foreach (string option in _options)
            Take(option, access == "ro");
        if (_typeGiven is not null)
            TakeType(_typeGiven);
        if (_fileSystem == Type || _fileSystem?.StartsWith($"{Type}.", StringComparison.Ordinal) == true)
            throw new CommandException($"fstype= is the type of the file system in {_path}, not {_fileSystem}", WrongUsage);
        if (access is not null && _remount)
            _handedOn.Add(access);
        if (!_remount)
            _bind.Transfers.Check();
        _bind.Transfers.MayAsk = !Console.IsInputRedirected;
    }

    protected override void Do()
    {
        if (_remount)
        {
            Remount();
            return;
        }
        if (!IsInOtherNamespace)
            ImageMount.CheckDirectory(_directory);
        var mount = new ImageMount(_socket is null ? Daemon : new Daemon(_socket), _bind, _path, _directory)
        {
            Arguments = Arguments(_fileSystem),
            MayBeMounted = !IsInOtherNamespace,
            Tell = Tell,
        };
        if (_fake)
        {
            mount.Check();
            Tell($"{_path} can be mounted on {_directory}");
        }
        else if (mount.Run() is { Device: var device })
        {
            Failure.Warn(_path, device.Warnings);
        }
    }

    private void Take(string option, bool readOnly)
    {
        string name = option.Split('=')[0];
        if (option == "remount")
            _remount = true;
        else if (option == "ro" && !readOnly)
            return;
        else if (_words.TryTake(_words.Find(option) is null ? option : MountOptionText.Unquote(option)))
            return;
        else if (name is "offset" or "sizelimit")
            throw new CommandException($"{name}= is mount's own: the device's is device-{(name == "offset" ? name : "size")}=", WrongUsage);
        else if (!Generic.Contains(name) && name != "comment" && !name.StartsWith("x-", StringComparison.OrdinalIgnoreCase))
            _handedOn.Add(option);
    }

    /// <summary>The subtype in <c>-t loopd.xor</c> is a transfer.</summary>
    private void TakeType(string type)
    {
        string subtype = type.StartsWith($"{Type}.", StringComparison.Ordinal) ? type[(Type.Length + 1)..] : "";
        if (type != Type && subtype.Length == 0)
            throw new CommandException($"-t is {Type} or {Type}.TRANSFER, not '{type}': the file system's type is -o fstype={type}", WrongUsage);
        if (subtype.Length == 0)
            return;
        if (_bind.Transfers.Names.Any())
            throw new CommandException($"the type {type} names a transfer: leave out transfer=, or the type be {Type}", WrongUsage);
        _bind.Transfers.TransferOption.Take(subtype);
    }

    /// <summary>Changes the mounted file system; the devices below stay as they are. With both the device and the directory
    /// given, mount does not look into fstab, from where it would come back here.</summary>
    private void Remount()
    {
        MountEntry mounted = MountTable.At(_directory) ?? throw new CommandException($"{_directory}: not mounted");
        _ = ImageUnmount.BelowOrFail(mounted);
        if (_fake)
            return;
        ExternalProgram.RunOrFail($"{_directory} cannot be remounted", "mount", [.. Arguments(mounted.Type), "-o", "remount", "--", mounted.Source, _directory]);
        Tell($"{mounted.Source} -> {_directory}, remounted");
    }

    private IReadOnlyList<string> Arguments(string? type) =>
        [.. Handed, .. type is null ? [] : new[] { "-t", type }, .. _handedOn.Count == 0 ? [] : new[] { "-o", string.Join(',', _handedOn) }];
}
