using System.Numerics;
using System.Text;
using LoopDaemon.Control;

namespace LoopDaemon.CommandLine;

/// <summary>A line of looptab: a device that is to be bound, and how.</summary>
internal sealed class LooptabLine
{
    private const int MaxNameBytes = 63, MinSectorBytes = 512, MaxSectorBytes = 4096;

    /// <summary>Words that say what they are for by themselves, and what to do instead.</summary>
    private static readonly (string Word, string Reason)[] Refused =
    [
        ("key-file", "the key file is the third field, or with several transfers transfer=NAME:key-file=FILE"),
        ("keyfile", "the key file is the third field, or with several transfers transfer=NAME:key-file=FILE"),
        ("keyfile-offset", "a key is a whole file: cut it out into a file of its own"),
        ("keyfile-size", "a key is a whole file: cut it out into a file of its own"),
        ("autoclear", "a device that is bound at boot has no user yet whose last close could clear it"),
        ("skip", "offset= counts bytes, and sectors-from= says where transfers count sectors from"),
    ];

    private readonly BindOptions _bind = new("--offset", TransferSpelling.Looptab);
    private readonly DeviceOptions _device = new();

    /// <param name="number">Which line it is, from 1.</param>
    /// <param name="fields">Its fields, at least one, each as its parts between commas.</param>
    /// <exception cref="CommandException">It is mistaken.</exception>
    internal LooptabLine(int number, IReadOnlyList<IReadOnlyList<string>> fields)
    {
        const int MaxFields = 4;
        Number = number;
        Name = NameIn(fields);
        CheckName();
        if (fields.Count < 2)
            throw new CommandException($"{Name}: has no backing file: NAME BACKING-FILE KEY-FILE OPTIONS");
        if (fields.Count > MaxFields)
            throw new CommandException($"{Name}: has more than {MaxFields} fields: write \\040 for a space in one of them");
        BackingFile = string.Join(',', fields[1]);
        CheckPath(BackingFile, "backing file");
        if (fields.Count > 2 && string.Join(',', fields[2]) is not ("-" or "none") and var keyFile)
        {
            CheckPath(keyFile, "key file");
            _bind.Transfers.KeyFileOption.Take(keyFile);
        }
        OptionWords words = Words();
        HashSet<Option> taken = [];
        foreach (string word in fields.Count == MaxFields ? fields[MaxFields - 1].Where(word => word.Length > 0) : [])
            Take(words, word, taken);
        CheckOptions();
    }

    /// <summary>Which line it is, from 1.</summary>
    internal int Number { get; }

    /// <summary>Its name: that of a device, or a free one.</summary>
    internal string Name { get; }

    /// <summary>The device's number, or null where any free one will do.</summary>
    internal int? Device { get; private set; }

    internal string BackingFile { get; }

    /// <summary>Whether it is bound only if it is named.</summary>
    internal bool IsSkippedUnlessNamed { get; private set; }

    /// <summary>Whether its failure is none of the whole.</summary>
    internal bool MayFail { get; private set; }

    /// <summary>The names of all options.</summary>
    internal static IEnumerable<string> OptionNames => new LooptabLine(0, [["0"], ["/"]]).Words().Names;

    /// <summary>The name that a line begins with.</summary>
    internal static string NameIn(IReadOnlyList<IReadOnlyList<string>> fields) => string.Join(',', fields[0]);

    /// <summary>Whether a name means this line: 3 and loop3 are the same.</summary>
    internal bool IsNamed(string name) => AreSame(Name, name);

    /// <summary>Whether two names mean the same.</summary>
    internal static bool AreSame(string name, string other) =>
        name == other || (DeviceName.IsOne(name) && DeviceName.IsOne(other) && DeviceName.Parse(name).Number == DeviceName.Parse(other).Number);

    /// <summary>Opens the backing file, and makes a request that lacks the keys.</summary>
    /// <exception cref="CommandException">The file will not do.</exception>
    internal ConfigureRequest Request()
    {
        ConfigureRequest request = _device.Apply(_bind.RequestWithoutKeys(BackingFile)) with { Device = Device };
        return Device is null ? request with { Reference = Name } : request;
    }

    /// <summary>Reads the keys that are in files.</summary>
    /// <exception cref="CommandException">A key cannot be read.</exception>
    internal ConfigureRequest WithKeys(ConfigureRequest request) => _bind.Transfers.ApplyKeyFiles(request);

    /// <summary>Has it bound.</summary>
    /// <exception cref="CommandException">A pass phrase cannot be had.</exception>
    /// <exception cref="ControlException">The daemon refuses.</exception>
    internal ConfigureReply Bind(ControlClient client, ConfigureRequest request) => _bind.Bind(client, request);

    private OptionWords Words()
    {
        var words = new OptionWords();
        words.Add(_bind.Transfers.TransferOption, "transfer", "encryption");
        words.Add(_bind.OffsetOption);
        words.Add(_bind.SizeLimitOption, "sizelimit", "size");
        words.Add(_bind.ReadOnlyOption, "read-only", "readonly", "ro");
        words.Add(_bind.Transfers.AllowDiscardsOption, "discard", "allow-discards");
        words.Add(_bind.Transfers.SectorsFromOption);
        words.Add(_bind.PassthroughOption);
        foreach (Option option in (Option[])[_device.DirectIoOption, _device.PartscanOption, _device.SectorSizeOption, _device.ModeOption, _device.GroupOption, _device.ReferenceOption])
            words.Add(option);
        words.Add(new Option("--noauto", "bind it only if it is named", () => IsSkippedUnlessNamed = true));
        words.Add(new Option("--nofail", "let it fail", () => MayFail = true));
        return words;
    }

    private void CheckName()
    {
        if (Name.Length == 0)
            throw new CommandException("has an empty name");
        if (Name.Contains('/', StringComparison.Ordinal))
            throw new CommandException($"{Name}: a name has no slash: write loop3 for a certain device, or a word for any");
        if (DeviceName.IsOne(Name))
            Device = DeviceName.Parse(Name).Number;
        else if (!Name.AsSpan(Name.StartsWith("loop", StringComparison.Ordinal) ? "loop".Length : 0).ContainsAnyExceptInRange('0', '9') && Name != "loop")
            throw new CommandException($"{Name}: there is no such device");
        else if (Encoding.UTF8.GetByteCount(Name) > MaxNameBytes)
            throw new CommandException($"{Name}: a name has at most {MaxNameBytes} bytes");
    }

    private void Take(OptionWords words, string word, HashSet<Option> taken)
    {
        string name = word.Split('=')[0];
        if (words.Find(word) is { } option && !taken.Add(option) && option != _bind.Transfers.TransferOption)
            throw Mistake($"gives option {name} a second time");
        try
        {
            if (words.TryTake(word))
                return;
        }
        catch (CommandException mistake)
        {
            throw Mistake(mistake.Message);
        }
        if (Array.Find(Refused, one => one.Word == name).Reason is { } reason)
            throw new CommandException($"{Name}: there is no option {name}: {reason}");
        throw new CommandException($"{Name}: there is no option {name}{(words.Closest(word) is { } meant ? $": did you mean {meant}?" : "")}");
    }

    /// <summary>What can be known without a daemon.</summary>
    private void CheckOptions()
    {
        try
        {
            _bind.Transfers.Check();
        }
        catch (CommandException mistake)
        {
            throw Mistake(mistake.Message);
        }
        foreach (string keyFile in _bind.Transfers.KeyFiles)
            CheckPath(keyFile, "key file");
        if (_device.SectorBytes is { } bytes && (bytes is < MinSectorBytes or > MaxSectorBytes || !BitOperations.IsPow2(bytes)))
            throw Mistake($"sector-size= is a power of two from {MinSectorBytes} to {MaxSectorBytes}, not {bytes}");
        if (_bind.Offset > long.MaxValue || _bind.SizeLimit > long.MaxValue)
            throw Mistake("offset= or size= is larger than any file");
        if (Device is null && _device.Reference.Length > 0)
            throw Mistake("loop-ref= goes with a certain device: any other has its name for a reference");
    }

    private void CheckPath(string path, string what)
    {
        if (!path.StartsWith('/'))
            throw Mistake($"the {what} must be an absolute path, not '{path}'");
    }

    private CommandException Mistake(string message) => new($"{Name}: {message}");
}
