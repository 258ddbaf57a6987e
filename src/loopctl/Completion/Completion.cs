namespace LoopDaemon.CommandLine;

/// <summary>Completes command lines by what the commands declare of their options and operands.</summary>
internal static class Completion
{
    /// <summary>What the last word may become.</summary>
    /// <param name="words">The words behind the program's name; the last one is begun, or empty.</param>
    internal static IEnumerable<Candidate> Of(IReadOnlyList<string> words)
    {
        string typed = words.Count > 0 ? words[^1] : "";
        Invocation before = Invocation.Read([.. words.SkipLast(1)]);
        Command command = before.Command;
        var getopt = new Getopt(command.Options, before.Words);
        string? control = before.Control;
        List<Option> given = [];
        try
        {
            while (getopt.TryNext(out Option? option, out string? value))
            {
                given.Add(option);
                control = option.Name == "control" ? value : control;
            }
        }
        catch (UsageException)
        {
            return getopt.WithoutValue is { } option ? Matching(Values(option, "", typed)) : [];
        }
        if (!getopt.OptionsEnded && typed.StartsWith('-'))
            return Matching(OptionsOf(command, typed));
        IEnumerable<Candidate> operands = Placeholder.Candidates(command.OperandAt(getopt.Operands.Count, given), typed, new Daemon(control));
        bool mayBeVerb = command is LosetupFace && before.Words.Count == 0;
        return Matching(mayBeVerb ? [.. Placeholder.Candidates("VERB", typed, new Daemon(control)), .. operands] : operands);

        IEnumerable<Candidate> Matching(IEnumerable<Candidate> candidates) => candidates.Where(candidate =>
            candidate.Text.StartsWith(typed, StringComparison.OrdinalIgnoreCase) || candidate.Text.EndsWith('>'));

        IEnumerable<Candidate> Values(Option option, string prefix, string begun) =>
            Placeholder.Candidates(option.Value, begun, new Daemon(control)).Select(candidate => candidate with { Text = prefix + candidate.Text });

        IEnumerable<Candidate> OptionsOf(Command of, string begun)
        {
            int equals = begun.IndexOf('=', StringComparison.Ordinal);
            if (equals < 0)
                return of.Options.SelectMany(Spellings);
            Option? meant = of.Options.FirstOrDefault(option => begun[..equals] == $"--{option.Name}");
            return meant is null ? [] : Values(meant, begun[..(equals + 1)], begun[(equals + 1)..]);
        }
    }

    private static IEnumerable<Candidate> Spellings(Option option) =>
        [.. option.Letters.Select(letter => new Candidate($"-{letter}", option.Help)), new Candidate($"--{option.Name}", option.Help)];
}
