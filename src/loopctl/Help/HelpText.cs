namespace LoopDaemon.CommandLine;

/// <summary>Prints what a command is for and how it is used.</summary>
/// <param name="output">Where to.</param>
/// <param name="width">The cells of a line.</param>
/// <param name="hasStyles">Whether headings are bold.</param>
internal sealed class HelpText(TextWriter output, int width, bool hasStyles)
{
    /// <summary>The column in which what an option does begins; a longer option has a line of its own.</summary>
    private const int Indent = 31;

    private const string Bold = "\e[1m", Plain = "\e[0m";

    internal void Write(Command command)
    {
        Heading("Usage");
        foreach (string usage in command.Usage)
            output.WriteLine($" {command.CalledAs} {usage}".TrimEnd());
        output.WriteLine();
        Wrap(command.Description, column: 0, indent: 0);
        foreach (OptionGroup group in command.OptionGroups)
        {
            Heading(group.Title, spaced: true);
            foreach (Option option in group.Options)
                Item(Written(option), option.Help, Indent);
        }
        foreach (HelpSection section in command.Sections)
        {
            Heading(section.Title, spaced: true);
            int indent = section.Items.Max(item => item.Item.Length) + 3;
            foreach ((string item, string text) in section.Items)
                Item(item, text, indent);
        }
        if (command.Examples.Count == 0)
            return;
        Heading("Examples", spaced: true);
        foreach ((string what, string how) in command.Examples)
        {
            output.Write(' ');
            Wrap($"{what}:", column: 1, indent: 1);
            output.WriteLine($"   {how}");
        }
    }

    /// <summary>An option as it is typed: <c>-o, --offset BYTES</c>.</summary>
    private static string Written(Option option)
    {
        string letters = option.Letters.Length == 0 ? "    " : string.Concat(option.Letters.Select(letter => $"-{letter}, "));
        return $"{letters}--{option.Name}" + option.Kind switch
        {
            ValueKind.None => "",
            ValueKind.Optional => $"[={option.Value}]",
            _ => $" {option.Value}",
        };
    }

    private void Heading(string title, bool spaced = false)
    {
        if (spaced)
            output.WriteLine();
        output.WriteLine(hasStyles ? $"{Bold}{title}:{Plain}" : $"{title}:");
    }

    /// <summary>Writes an item of a list, and beside it what it is; below where it is too long for that.</summary>
    private void Item(string item, string text, int indent)
    {
        bool fits = item.Length + 3 <= indent;
        output.Write(fits ? $" {item}".PadRight(indent) : $" {item}\n{new string(' ', indent)}");
        Wrap(text, indent, indent);
    }

    /// <summary>Writes running text.</summary>
    /// <param name="text">The text.</param>
    /// <param name="column">The column that has been reached.</param>
    /// <param name="indent">The column in which further lines begin.</param>
    private void Wrap(string text, int column, int indent)
    {
        bool isFirst = true;
        foreach (string word in text.Split(' '))
        {
            if (!isFirst && column + 1 + word.Length > width)
            {
                output.WriteLine();
                output.Write(new string(' ', indent));
                column = indent;
                isFirst = true;
            }
            output.Write(isFirst ? word : $" {word}");
            column += isFirst ? word.Length : word.Length + 1;
            isFirst = false;
        }
        output.WriteLine();
    }
}
