namespace LoopDaemon.CommandLine;

/// <summary>A command that is called by its name.</summary>
internal abstract class Verb : Command
{
    protected override IReadOnlyList<OptionGroup> OwnOptions => [];

    /// <summary>Does what the options and operands say; the operands are as many as <see cref="Command.Operands"/> says.</summary>
    protected abstract int Do(IReadOnlyList<string> operands);

    protected sealed override int Run(IReadOnlyList<string> operands)
    {
        string[] wanted = Operands.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        bool isOpen = wanted.Length > 0 && wanted[^1].TrimEnd(']').EndsWith("...", StringComparison.Ordinal);
        if (operands.Count < wanted.Length && wanted[operands.Count] is var missing && missing[0] != '[')
            throw new CommandException($"no {missing.TrimEnd('.')} specified: {Program} {Usage[0]}");
        if (operands.Count > wanted.Length && !isOpen)
            throw new CommandException($"unexpected argument '{operands[wanted.Length]}': {Program} {Usage[0]}");
        return Do(operands);
    }
}
