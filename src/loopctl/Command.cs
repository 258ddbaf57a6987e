namespace LoopDaemon.CommandLine;

/// <summary>What a command line can be for: a verb, or what losetup does. It declares its options, and they act on the
/// command's own fields as they are met; then it runs.</summary>
internal abstract class Command
{
    /// <summary>The name of the program.</summary>
    internal const string Program = "loopctl";

    /// <summary>The option that names the daemon, which all commands have.</summary>
    internal const string Control = "control";

    private readonly OptionGroup _common;
    private readonly Option _controlOption;
    private string? _control;
    private Action? _instead;

    protected Command()
    {
        _controlOption = new Option($"--{Control}", "SOCKET", "the daemon's control socket (or LOOPD_CONTROL)", value => _control = value) { IsAddition = true };
        _common = new OptionGroup("Common options", _controlOption,
            new Option("-h --help", "display this help", () => _instead = PrintHelp),
            new Option("-V --version", "display the version", () => _instead = PrintVersion));
    }

    /// <summary>The program that it is a command of.</summary>
    internal virtual string CalledAs => Program;

    /// <summary>The verb; empty for what losetup does.</summary>
    internal abstract string Name { get; }

    /// <summary>What it does, in a few words.</summary>
    internal abstract string Summary { get; }

    /// <summary>What it does, in a few sentences.</summary>
    internal virtual string Description => $"{char.ToUpperInvariant(Summary[0])}{Summary[1..]}.";

    /// <summary>What it takes beside options, with a space between them: <c>FILE DIR</c>, <c>DEV...</c>, <c>[VERB]</c>.</summary>
    internal abstract string Operands { get; }

    /// <summary>The ways to call it, without the program's name.</summary>
    internal virtual IReadOnlyList<string> Usage => [$"{Name} [options] {Operands}".TrimEnd()];

    /// <summary>Further lists for its help.</summary>
    internal virtual IReadOnlyList<HelpSection> Sections => [];

    /// <summary>What can be done with it, and how.</summary>
    internal virtual IReadOnlyList<(string What, string How)> Examples => [];

    /// <summary>All its options, as help shows them.</summary>
    internal IReadOnlyList<OptionGroup> OptionGroups => [.. OwnOptions, _common];

    /// <summary>All its options.</summary>
    internal IReadOnlyList<Option> Options => [.. OptionGroups.SelectMany(group => group.Options)];

    /// <summary>The options that other commands do not have.</summary>
    protected abstract IReadOnlyList<OptionGroup> OwnOptions { get; }

    /// <summary>The daemon that the command is for.</summary>
    /// <exception cref="CommandException">It has no name.</exception>
    protected Daemon Daemon => new(_control);

    /// <summary>How many words the command line has, those about the daemon not counted.</summary>
    protected int WordCount { get; private set; }

    /// <summary>What an operand is, for a shell to complete it.</summary>
    /// <param name="index">Which one, from 0.</param>
    /// <param name="given">The options that are given before it.</param>
    internal virtual string OperandAt(int index, IReadOnlyList<Option> given)
    {
        string[] operands = Operands.Split(' ');
        return index < operands.Length ? operands[index] : operands[^1].Contains("...", StringComparison.Ordinal) ? operands[^1] : "";
    }

    /// <summary>Reads the command line, and does what it says.</summary>
    /// <param name="words">The words behind the verb.</param>
    /// <param name="control">The daemon's socket, where it was named before the verb.</param>
    /// <returns>The exit code.</returns>
    /// <exception cref="CommandException">It cannot be done.</exception>
    internal int Run(IReadOnlyList<string> words, string? control)
    {
        _control = control;
        var getopt = new Getopt(Options, words);
        WordCount = words.Count;
        while (getopt.TryNext(out Option? option, out string? value))
        {
            if (option == _controlOption)
                WordCount -= getopt.Position - getopt.Start;
            Meet(option);
            option.Take(value);
            if (_instead is null)
                continue;
            _instead();
            return 0;
        }
        return Run(getopt.Operands);
    }

    internal void PrintHelp() => new HelpText(Console.Out, Screen.TextWidth, Screen.OutputHasStyles).Write(this);

    /// <summary>Is called for each option before it does what it does.</summary>
    protected virtual void Meet(Option option)
    {
    }

    /// <summary>Does what the options and operands say.</summary>
    protected abstract int Run(IReadOnlyList<string> operands);

    private void PrintVersion() =>
        Console.Out.WriteLine($"{CalledAs} from LoopDaemon {typeof(Command).Assembly.GetName().Version?.ToString(3)}");
}
