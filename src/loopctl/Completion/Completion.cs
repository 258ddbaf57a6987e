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
        var getopt = new Getopt(before.Command.Options, before.Words);
        List<Option> given = [];
        string? control = before.Control;
        bool isRight = TryRead(getopt, given, ref control);
        var daemon = new Daemon(control);

        IEnumerable<Candidate> candidates = getopt.WithoutValue is { } option ? Placeholder.Candidates(option.Value, typed, daemon)
            : !isRight ? []
            : typed.StartsWith('-') && !getopt.OptionsEnded ? Options(before.Command.Options, typed, daemon)
            : Operands(before, getopt.Operands.Count, given, typed, daemon);
        return candidates.Where(candidate =>
            candidate.Text.StartsWith(typed, StringComparison.OrdinalIgnoreCase) || candidate.IsLeftToShell);
    }

    /// <summary>Reads the options before the word, without doing what they say.</summary>
    /// <returns>Whether they are right.</returns>
    private static bool TryRead(Getopt getopt, List<Option> given, ref string? control)
    {
        try
        {
            while (getopt.TryNext(out Option? option, out string? value))
            {
                given.Add(option);
                control = option.Name == Command.Control ? value : control;
            }
            return true;
        }
        catch (UsageException)
        {
            return false;
        }
    }

    /// <summary>The options, or behind <c>=</c> the values of one.</summary>
    private static IEnumerable<Candidate> Options(IReadOnlyList<Option> options, string typed, Daemon daemon)
    {
        int equals = typed.IndexOf('=', StringComparison.Ordinal);
        if (equals < 0)
            return options.SelectMany(Spellings);
        Option? meant = options.FirstOrDefault(option => typed[..equals] == $"--{option.Name}");
        return meant is null ? []
            : Placeholder.Candidates(meant.Value, typed[(equals + 1)..], daemon).Select(value => value with { Text = typed[..(equals + 1)] + value.Text });
    }

    private static IEnumerable<Candidate> Spellings(Option option) =>
        [.. option.Letters.Select(letter => new Candidate($"-{letter}", option.Help)), new Candidate($"--{option.Name}", option.Help)];

    /// <summary>The operands; as the first word of all the verbs too.</summary>
    private static IEnumerable<Candidate> Operands(Invocation before, int index, List<Option> given, string typed, Daemon daemon)
    {
        IEnumerable<Candidate> operands = Placeholder.Candidates(before.Command.OperandAt(index, given), typed, daemon);
        return before.Command is LosetupFace && before.Words.Count == 0 ? [.. Placeholder.Candidates("VERB", typed, daemon), .. operands] : operands;
    }
}
