namespace LoopDaemon.CommandLine;

/// <summary>A command line: which command it is for, and the words for that command. A verb comes first; only --control may
/// stand before it.</summary>
/// <param name="Command">The command.</param>
/// <param name="Words">The words behind the verb; all of them where there is none.</param>
/// <param name="Control">The daemon's socket, where it is named before.</param>
internal sealed record Invocation(Command Command, IReadOnlyList<string> Words, string? Control)
{
    private const string ControlOption = $"--{Command.Control}";

    /// <summary>Reads the command line of a program that has several names.</summary>
    /// <param name="program">The name that it was called by.</param>
    /// <param name="words">The words behind the name.</param>
    internal static Invocation Read(string program, IReadOnlyList<string> words) => program switch
    {
        MountHelper.ProgramName => new Invocation(new MountHelper(), words, null),
        UmountHelper.ProgramName => new Invocation(new UmountHelper(), words, null),
        _ => Read(words),
    };

    internal static Invocation Read(IReadOnlyList<string> words)
    {
        string? control = null;
        int position = 0;
        while (position < words.Count)
        {
            if (words[position] == ControlOption && position + 1 < words.Count)
            {
                control = words[position + 1];
                position += 2;
            }
            else if (words[position].StartsWith(ControlOption + "=", StringComparison.Ordinal))
            {
                control = words[position++][(ControlOption.Length + 1)..];
            }
            else
            {
                break;
            }
        }
        Command? verb = position < words.Count ? Verbs.Find(words[position]) : null;
        return new Invocation(verb ?? new LosetupFace(), [.. words.Skip(verb is null ? position : position + 1)], control);
    }

    /// <summary>Does what it says.</summary>
    /// <returns>The exit code.</returns>
    internal int Run() => Command.Run(Words, Control);
}
