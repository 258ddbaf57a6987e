namespace LoopDaemon.CommandLine;

/// <summary>Whether an option has a value.</summary>
internal enum ValueKind
{
    /// <summary>It has none.</summary>
    None,
    /// <summary>It has one: glued to its letter, behind <c>=</c>, or the next word.</summary>
    Required,
    /// <summary>It may have one, and then behind <c>=</c>.</summary>
    Optional,
}

/// <summary>An option, declared once: how it is written, what is done when it is met, and what help says of it. Parsing, help
/// and completion go by that.</summary>
internal sealed class Option
{
    private readonly Action<string?> _take;

    /// <summary>An option without a value.</summary>
    /// <param name="names">Its letters and its long name as they are typed: <c>-e -E --encryption</c>.</param>
    /// <param name="help">What it does, for the list of options.</param>
    /// <param name="take">Is called when the option is met.</param>
    internal Option(string names, string help, Action take) : this(names, ValueKind.None, "", help, _ => take())
    {
    }

    /// <summary>An option with a value.</summary>
    /// <param name="names">Its letters and its long name as they are typed.</param>
    /// <param name="value">What the value is, one of <see cref="Placeholder"/>'s where a shell can complete it: <c>BYTES</c>,
    /// <c>FILE</c>, or the words that it may be: <c>file|offset</c>.</param>
    /// <param name="help">What it does, for the list of options.</param>
    /// <param name="take">Is given the value.</param>
    internal Option(string names, string value, string help, Action<string> take)
        : this(names, ValueKind.Required, value, help, given => take(given!))
    {
    }

    /// <summary>An option that is a switch: on by itself and with <c>=on</c>, off with <c>=off</c>.</summary>
    /// <param name="names">Its letters and its long name as they are typed.</param>
    /// <param name="help">What it does, for the list of options.</param>
    /// <param name="turn">Is given whether it is on.</param>
    internal Option(string names, string help, Action<bool> turn)
        : this(names, ValueKind.Optional, "on|off", help, given => turn(IsOn(given)))
    {
    }

    private Option(string names, ValueKind kind, string value, string help, Action<string?> take)
    {
        foreach (string name in names.Split(' '))
        {
            if (name.StartsWith("--", StringComparison.Ordinal))
                Name = name[2..];
            else
                Letters += name[1];
        }
        (Kind, Value, Help, _take) = (kind, value, help, take);
    }

    /// <summary>The long name, without its dashes.</summary>
    internal string Name { get; } = "";

    /// <summary>The letters that stand for it.</summary>
    internal string Letters { get; } = "";

    internal ValueKind Kind { get; }

    /// <summary>What the value is, for the list of options and for completion.</summary>
    internal string Value { get; }

    internal string Help { get; }

    /// <summary>Whether losetup has no such option. What abbreviates one of losetup's goes on doing so in spite of it.</summary>
    internal bool IsAddition { get; set; }

    /// <summary>Does what the option says.</summary>
    /// <param name="value">Its value, or null where it has none.</param>
    internal void Take(string? value) => _take(value);

    private static bool IsOn(string? text) => text switch
    {
        null or "on" => true,
        "off" => false,
        _ => throw new CommandException($"argument error: '{text}'"),
    };
}
