using System.Globalization;
using System.Text;

namespace LoopDaemon.CommandLine;

/// <summary>Text as libsmartcols puts it into a cell: what cannot be printed becomes <c>\x0a</c>, byte by byte.</summary>
internal static class CellText
{
    /// <summary>The text as a table shows it, and the cells of the terminal that it takes.</summary>
    /// <param name="text">The text.</param>
    /// <param name="inUtf8">Whether the locale's characters are UTF-8's; otherwise they are ASCII's alone.</param>
    internal static (string Text, int Width) ForTable(string text, bool inUtf8)
    {
        var shown = new StringBuilder(text.Length);
        int width = 0, position = 0;
        foreach (Rune character in text.EnumerateRunes())
        {
            // What would read as an escape is escaped itself.
            bool isEscape = character.Value == '\\' && position + 1 < text.Length && text[position + 1] == 'x';
            int cells = character.IsAscii || inUtf8 ? CharacterWidth.Of(character) : CharacterWidth.NotPrintable;
            if (isEscape || cells == CharacterWidth.NotPrintable)
            {
                width += AppendEscaped(shown, character);
            }
            else
            {
                width += cells;
                shown.Append(character.ToString());
            }
            position += character.Utf16SequenceLength;
        }
        return (shown.ToString(), width);
    }

    /// <summary>The text as --raw shows it: one word of printable ASCII.</summary>
    internal static string ForRaw(string text)
    {
        var shown = new StringBuilder(text.Length);
        foreach (Rune character in text.EnumerateRunes())
        {
            if (character.Value is > ' ' and < 0x7F and not '\\')
                shown.Append((char)character.Value);
            else
                AppendEscaped(shown, character);
        }
        return shown.ToString();
    }

    private static int AppendEscaped(StringBuilder shown, Rune character)
    {
        Span<byte> bytes = stackalloc byte[4];
        int count = character.EncodeToUtf8(bytes);
        foreach (byte value in bytes[..count])
            shown.Append(CultureInfo.InvariantCulture, $"\\x{value:x2}");
        return 4 * count;
    }
}
