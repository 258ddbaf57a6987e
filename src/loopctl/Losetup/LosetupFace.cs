namespace LoopDaemon.CommandLine;

/// <summary>What losetup does, by losetup's options and under its rules: those of util-linux 2.38.1, in the order in which it
/// looks at them, so that a wrong command line fails with the same words.</summary>
internal sealed partial class LosetupFace : Command
{
    /// <summary>Options of which only one can be given, as losetup names them when more are.</summary>
    private static readonly string[][] ExclusiveGroups =
    [
        ["detach-all", "all", "set-capacity", "detach", "find", "associated"],
        ["detach-all", "set-capacity", "detach", "find", "list"],
        ["json", "raw"],
        // The --remove of later versions, which leaves the words about the others as they are.
        ["detach-all", "all", "set-capacity", "detach", "find", "associated", "remove"],
        ["detach-all", "set-capacity", "detach", "find", "list", "remove"],
        ["output", "remove"],
    ];

    private readonly string?[] _givenOf = new string?[ExclusiveGroups.Length];
    private readonly BindOptions _bind = new("-o --offset");
    private readonly OptionGroup _deviceFile;
    private readonly List<DeviceName> _devices = [];
    private Purpose _purpose;
    private string? _associated;
    private bool _list, _json, _raw, _noHeadings, _outputAll;
    private string? _output;
    private readonly DeviceOptions _device = new();
    private bool _noOverlap, _show, _autoclear, _additionGiven;

    internal LosetupFace()
    {
        _deviceFile = OptionGroup.Added("Setup: the device's file",
            new Option("--autoclear", "clear the device at its last close, as mount(8) has it", () => _autoclear = true),
            _device.GroupOption,
            _device.ModeOption,
            _bind.PassthroughOption);
        OwnOptions =
        [
            new OptionGroup("Commands",
                new Option("-a --all", "list all used devices, a line each", () => _purpose = Purpose.List),
                new Option("-j --associated", "FILE", "list all devices associated with FILE", value => (_purpose, _associated) = (Purpose.List, value)),
                new Option("-d --detach", "DEV...", "detach one or more devices; one that is open goes at its last close", value => TakeDevice(Purpose.Detach, value)),
                new Option("-D --detach-all", "detach all used devices", () => _purpose = Purpose.DetachAll),
                new Option("-f --find", "print the first unused device, or bind it to FILE", () => _purpose = Purpose.Find),
                new Option("-L --nooverlap", "avoid possible conflict between devices: use one again, or refuse", () => _noOverlap = true),
                new Option("-c --set-capacity", "DEV", "take over the size that the file has now", value => TakeDevice(Purpose.SetCapacity, value)),
                new Option("--remove", "remove one or more devices, DEV...", () => _purpose = Purpose.Remove) { IsAddition = true }),
            new OptionGroup("Setup",
                _device.SectorSizeOption,
                _bind.OffsetOption,
                _bind.SizeLimitOption,
                _device.PartscanOption,
                _bind.ReadOnlyOption,
                _device.DirectIoOption,
                _device.ReferenceOption,
                new Option("--show", "print the device's name after setup", () => _show = true)),
            _bind.Transfers.Group,
            _deviceFile,
            new OptionGroup("Output",
                new Option("-J --json", "use JSON --list output format", () => _json = true),
                new Option("-l --list", "list info about all or specified (default)", () => _list = true),
                new Option("-n --noheadings", "don't print headings for --list output", () => _noHeadings = true),
                new Option("-O --output", "COLS", "columns to output for --list, with commas; +COLS adds some", value => (_output, _list) = (value, true)),
                new Option("--output-all", "output all columns", () => (_outputAll, _list) = (true, true)),
                new Option("--raw", "use raw --list output format", () => _raw = true),
                new Option("-v --verbose", "is taken, and changes nothing", () => { })),
        ];
    }

    /// <summary>What a command line can ask for.</summary>
    private enum Purpose
    {
        /// <summary>Nothing that an option says: the operands do.</summary>
        None,
        List,
        ListOne,
        Bind,
        Detach,
        DetachAll,
        Find,
        SetCapacity,
        SetDirectIo,
        SetSectorSize,
        Remove,
    }

    internal override string Name => "";

    internal override string Summary => "Bind files to loop devices in user space, through transfer functions.";

    internal override string Description =>
        $"{Summary} What losetup can be told, {Program} can be told too. A device is a number, loop0, or the path of its file.";

    internal override string Operands => "[DEV] [FILE]";

    internal override IReadOnlyList<string> Usage =>
        ["[options] [DEV]", "[options] -f | DEV FILE", "VERB [options] ..."];

    internal override IReadOnlyList<HelpSection> Sections =>
    [
        new HelpSection("Verbs", [.. Verbs.All.Select(verb => ($"{verb.Name} {verb.Operands}".TrimEnd(), verb.Summary))]),
        new HelpSection("Available output columns", [.. DeviceColumns.All.Select(column => (column.Name.PadLeft(DeviceColumns.LongestName), column.Help))]),
    ];

    internal override IReadOnlyList<(string What, string How)> Examples =>
    [
        ("Bind a file to the first free device, and print that", $"{Program} -f --show disk.img"),
        ("The same through XOR, with the key in a file", $"{Program} -f --show -e xor --key-file disk.key disk.img"),
        ("A partitioned image, whose partitions are loop0p1 and so on", $"{Program} -P loop0 disk.img"),
        ("See what there is; and all about one device", $"{Program}; {Program} info loop0"),
        ("Detach it", $"{Program} -d loop0"),
    ];

    protected override IReadOnlyList<OptionGroup> OwnOptions { get; }

    internal override string OperandAt(int index, IReadOnlyList<Option> given)
    {
        bool isGiven(string name) => given.Any(option => option.Name == name);
        if (isGiven("find"))
            return "FILE";
        return index == 0 || isGiven("detach") || isGiven("remove") ? "DEV" : index == 1 ? "FILE" : "";
    }

    /// <summary>Refuses an option that does not go with one given before.</summary>
    protected override void Meet(Option option)
    {
        _additionGiven |= _deviceFile.Options.Contains(option) || _bind.Transfers.Group.Options.Contains(option);
        for (int i = 0; i < ExclusiveGroups.Length; i++)
        {
            if (!ExclusiveGroups[i].Contains(option.Name))
                continue;
            _givenOf[i] ??= option.Name;
            if (_givenOf[i] != option.Name)
                throw new CommandException($"mutually exclusive arguments: {string.Join(' ', ExclusiveGroups[i].Select(name => $"--{name}"))}");
        }
    }

    protected override int Run(IReadOnlyList<string> operands)
    {
        Purpose purpose = Decide(operands);
        RefuseOutOfPlace(purpose);
        IReadOnlyList<Column> columns = _list ? DeviceColumns.Choose(_output, _outputAll) : [];
        string[] named = [.. _devices.Select(device => device.Text)];
        return purpose switch
        {
            Purpose.List => List(columns),
            Purpose.ListOne => ListOne(columns),
            // FILE comes behind the device, if there is one.
            Purpose.Bind => Bind(operands[_devices.Count]),
            Purpose.Find => PrintFree(),
            Purpose.Detach => ForEach([.. named, .. operands], "detach failed", Clear),
            Purpose.DetachAll => DetachAll(),
            Purpose.Remove => ForEach(operands, "remove failed", Remove),
            Purpose.SetCapacity => ForEach(named, "set capacity failed", SetCapacity),
            Purpose.SetDirectIo => ForEach(named, "set direct io failed", SetDirectIo),
            _ => ForEach(named, "set logical block size failed", SetSectorSize),
        };
    }

    /// <summary>What is asked for: where no option says it, it is a matter of the operands.</summary>
    private Purpose Decide(IReadOnlyList<string> operands)
    {
        if (WordCount == 0 || (_purpose == Purpose.None && WordCount == 1 && (_raw || _json)))
        {
            _list = true;
            return Purpose.List;
        }
        switch (_purpose)
        {
            case Purpose.Find when operands.Count > 1:
                throw new CommandException("unexpected arguments");
            case Purpose.Find when operands.Count == 1:
                return Purpose.Bind;
            case Purpose.None when operands.Count == 0 && _list:
                return Purpose.List;
            case Purpose.None or Purpose.Remove when operands.Count == 0:
                throw new CommandException("no loop device specified");
            case not Purpose.None:
                return _purpose;
        }
        _devices.Add(ParseDevice(operands[0]));
        return operands.Count > 1 ? Purpose.Bind
            : _device.DirectIo is not null ? Purpose.SetDirectIo
            : _device.SectorBytes is not null ? Purpose.SetSectorSize
            : Purpose.ListOne;
    }

    /// <summary>Refuses options that only go with binding a file, or with --associated.</summary>
    private void RefuseOutOfPlace(Purpose purpose)
    {
        if (purpose == Purpose.Bind)
            return;
        bool direct = _device.DirectIo == true && purpose != Purpose.SetDirectIo;
        if (_bind.SizeLimit > 0 || _device.Partscan || _bind.ReadOnly || direct || _show)
            throw new CommandException("the options --{sizelimit,partscan,read-only,show} are allowed during loop device setup only");
        if (_additionGiven)
        {
            IEnumerable<string> names = _bind.Transfers.Group.Options.Concat(_deviceFile.Options).Select(option => option.Name);
            throw new CommandException($"the options --{{{string.Join(',', names)}}} are allowed during loop device setup only");
        }
        if (_bind.Offset is not null && _associated is null)
            throw new CommandException("the option --offset is not allowed in this context");
    }

    private void TakeDevice(Purpose purpose, string name)
    {
        _purpose = purpose;
        _devices.Add(DeviceName.Parse(name));
    }

    /// <summary>Reads the operand that must be a device; where it looks like a verb instead, it says so.</summary>
    private static DeviceName ParseDevice(string text)
    {
        try
        {
            return DeviceName.Parse(text);
        }
        catch (CommandException unusable) when (Verbs.Closest(text) is { } verb)
        {
            throw new CommandException($"{unusable.Message} (did you mean {Program} {verb}?)");
        }
    }
}
