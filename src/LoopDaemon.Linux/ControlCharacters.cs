using System.Globalization;

namespace LoopDaemon.Linux;

/// <summary>File names may hold newlines and escape sequences, which have no business in a log or a table.</summary>
public static class ControlCharacters
{
    /// <summary>The text with each control character as <c>\x0a</c>, the way libsmartcols prints it.</summary>
    public static string Escape(string text) => string.Concat(text.Select(letter =>
        char.IsControl(letter) ? string.Create(CultureInfo.InvariantCulture, $"\\x{(int)letter:x2}") : letter.ToString()));
}
