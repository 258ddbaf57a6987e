using System.Diagnostics.CodeAnalysis;

namespace LoopDaemon.CommandLine;

/// <summary>Takes a command line apart by the rules of getopt_long(3), with glibc's words for what breaks them: letters
/// cluster (<c>-fP</c>), a value is glued to its letter, behind <c>=</c> or the next word, a long name may be abbreviated,
/// operands stand anywhere, and <c>--</c> ends the options.</summary>
internal sealed class Getopt(IReadOnlyList<Option> options, IReadOnlyList<string> words)
{
    private readonly List<string> _operands = [];
    private string _cluster = "";

    /// <summary>How many words have been taken.</summary>
    internal int Position { get; private set; }

    /// <summary>Which word the last option is in.</summary>
    internal int Start { get; private set; }

    /// <summary>The operands met so far; all of them after <see cref="TryNext"/> has returned false.</summary>
    internal IReadOnlyList<string> Operands => _operands;

    /// <summary>Whether a <c>--</c> has been met.</summary>
    internal bool OptionsEnded { get; private set; }

    /// <summary>The option that lacks its value, after <see cref="TryNext"/> has complained of it.</summary>
    internal Option? WithoutValue { get; private set; }

    /// <summary>Finds the next option.</summary>
    /// <param name="option">The option.</param>
    /// <param name="value">Its value, or null where it has none.</param>
    /// <exception cref="UsageException">There is no such option, or it has a value too many or too few.</exception>
    internal bool TryNext([NotNullWhen(true)] out Option? option, out string? value)
    {
        while (_cluster.Length == 0 && Position < words.Count)
        {
            Start = Position;
            string word = words[Position++];
            if (OptionsEnded || word.Length < 2 || word[0] != '-')
                _operands.Add(word);
            else if (word == "--")
                OptionsEnded = true;
            else if (word[1] == '-')
                return TakeLong(word[2..], out option, out value);
            else
                _cluster = word[1..];
        }
        if (_cluster.Length > 0)
            return TakeLetter(out option, out value);
        (option, value) = (null, null);
        return false;
    }

    private bool TakeLetter(out Option option, out string? value)
    {
        char letter = _cluster[0];
        option = options.FirstOrDefault(known => known.Letters.Contains(letter, StringComparison.Ordinal))
            ?? throw new UsageException($"invalid option -- '{letter}'");
        string rest = _cluster[1..];
        value = option.Kind != ValueKind.Required ? null
            : rest.Length > 0 ? rest
            : NextWord(option, $"option requires an argument -- '{letter}'");
        _cluster = value is null ? rest : "";
        return true;
    }

    private bool TakeLong(string text, out Option option, out string? value)
    {
        int equals = text.IndexOf('=', StringComparison.Ordinal);
        option = Find(equals < 0 ? text : text[..equals], text);
        value = equals < 0 ? null : text[(equals + 1)..];
        if (value is not null && option.Kind == ValueKind.None)
            throw new UsageException($"option '--{option.Name}' doesn't allow an argument");
        if (value is null && option.Kind == ValueKind.Required)
            value = NextWord(option, $"option '--{option.Name}' requires an argument");
        return true;
    }

    /// <summary>The option of that name, or the only one that begins with it.</summary>
    private Option Find(string name, string text)
    {
        List<Option> meant = [];
        foreach (Option option in options)
        {
            if (option.Name == name)
                return option;
            if (option.Name.StartsWith(name, StringComparison.Ordinal))
                meant.Add(option);
        }
        if (meant.Exists(option => !option.IsAddition))
            meant.RemoveAll(option => option.IsAddition);
        return meant.Count switch
        {
            1 => meant[0],
            0 => throw new UsageException($"unrecognized option '--{text}'"),
            _ => throw new UsageException($"option '--{text}' is ambiguous; possibilities: {string.Join(' ', meant.Select(option => $"'--{option.Name}'"))}"),
        };
    }

    private string NextWord(Option option, string complaint)
    {
        if (Position < words.Count)
            return words[Position++];
        WithoutValue = option;
        throw new UsageException(complaint);
    }
}
