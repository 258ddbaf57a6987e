using LoopDaemon.Transfers;

namespace LoopDaemon.CommandLine;

/// <summary>Options as words without dashes, <c>name</c> or <c>name=value</c>, in the way of fstab(5) and crypttab(5): the ones
/// that the command line has, under one or several names.</summary>
internal sealed class OptionWords
{
    private readonly Dictionary<string, Option> _options = [];

    /// <summary>All names.</summary>
    internal IEnumerable<string> Names => _options.Keys;

    /// <summary>Adds an option under its own long name.</summary>
    internal void Add(Option option) => Add(option, option.Name);

    /// <summary>Adds an option under other names.</summary>
    internal void Add(Option option, params ReadOnlySpan<string> names)
    {
        foreach (string name in names)
            _options.Add(name, option);
    }

    /// <summary>The name that a word most likely was meant to begin with, or null.</summary>
    internal string? Closest(string word) => Spelling.Closest(NameOf(word), Names);

    /// <summary>The option that a word names, or null where it is none of these.</summary>
    internal Option? Find(string word) => _options.GetValueOrDefault(NameOf(word));

    /// <summary>Does what a word says.</summary>
    /// <param name="word">The word.</param>
    /// <returns>Whether it is one of these options.</returns>
    /// <exception cref="CommandException">Its value will not do.</exception>
    internal bool TryTake(string word)
    {
        if (Find(word) is not { } option)
            return false;
        string name = NameOf(word);
        string? value = name.Length < word.Length ? word[(name.Length + 1)..] : null;
        if (value is not null && option.Kind == ValueKind.None)
            throw new CommandException($"option {name} takes no value, not '{value}'");
        if (string.IsNullOrEmpty(value) && (option.Kind == ValueKind.Required || value is not null))
            throw new CommandException($"option {name} needs a value: {name}={option.Value}");
        string[] allowed = option.Value.Split('|');
        if (value is not null && allowed.Length > 1 && !allowed.Contains(value))
            throw new CommandException($"option {name} must be {string.Join(", ", allowed[..^1])} or {allowed[^1]}, not '{value}'");
        option.Take(value);
        return true;
    }

    private static string NameOf(string word) => word.IndexOf('=', StringComparison.Ordinal) is >= 0 and int equals ? word[..equals] : word;
}
