using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary>The table of devices that are bound at boot, looptab(5).</summary>
/// <param name="Path">The file.</param>
/// <param name="Lines">The lines that can be understood.</param>
/// <param name="Mistakes">What is wrong with the others.</param>
internal sealed record Looptab(string Path, IReadOnlyList<LooptabLine> Lines, IReadOnlyList<LooptabMistake> Mistakes)
{
    internal const string DefaultPath = "/etc/loopd/looptab";

    /// <summary>Reads a table.</summary>
    /// <exception cref="CommandException">It cannot be read.</exception>
    internal static Looptab Read(string path)
    {
        try
        {
            return Parse(path, File.ReadAllBytes(path));
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException)
        {
            Errno error = Directory.Exists(path) ? Errno.EISDIR : File.Exists(path) ? Errno.EACCES : Errno.ENOENT;
            throw new CommandException($"{path}: cannot read the table of devices: {error.Describe()}");
        }
    }

    /// <summary>Understands a table.</summary>
    /// <param name="path">Where it is from.</param>
    /// <param name="text">The bytes of it.</param>
    internal static Looptab Parse(string path, ReadOnlySpan<byte> text)
    {
        List<LooptabLine> lines = [];
        List<LooptabMistake> mistakes = [];
        int number = 0;
        foreach (Range range in text.Split((byte)'\n'))
        {
            number++;
            string? name = null;
            try
            {
                IReadOnlyList<IReadOnlyList<string>> fields = LooptabText.Fields(text[range]);
                if (fields.Count == 0)
                    continue;
                name = LooptabLine.NameIn(fields);
                var line = new LooptabLine(number, fields);
                if (lines.Find(before => before.IsNamed(name)) is { } first)
                    throw new CommandException($"{name}: is on line {first.Number} already");
                lines.Add(line);
            }
            catch (CommandException mistake)
            {
                mistakes.Add(new LooptabMistake(number, name, mistake.Message));
            }
        }
        return new Looptab(path, lines, mistakes);
    }

    /// <summary>A sentence about a line.</summary>
    internal string Sentence(int line, string message) => $"{Path}:{line}: {message}";
}
