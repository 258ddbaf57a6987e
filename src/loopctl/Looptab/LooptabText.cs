using System.Text;

namespace LoopDaemon.CommandLine;

/// <summary>The lines of looptab taken apart into fields: blanks between them, <c>\040</c> (any byte in octal) or a backslash
/// before a character or double quotes for what is to lose its meaning, and a comment from a <c>#</c> on that begins a
/// field.</summary>
internal static class LooptabText
{
    private static readonly UTF8Encoding Strict = new(false, throwOnInvalidBytes: true);

    /// <summary>Takes a line apart.</summary>
    /// <param name="line">The bytes of the line, without its newline.</param>
    /// <returns>The fields, each as its parts between those commas that have not lost their meaning; none for an empty line
    /// or a comment.</returns>
    /// <exception cref="CommandException">A quotation or an escape does not end, or a field is no text.</exception>
    internal static IReadOnlyList<IReadOnlyList<string>> Fields(ReadOnlySpan<byte> line)
    {
        List<IReadOnlyList<string>> fields = [];
        for (int i = 0; i < line.Length;)
        {
            if (IsBlank(line[i]))
                i++;
            else if (line[i] == '#')
                break;
            else
                fields.Add(Field(line, ref i));
        }
        return fields;
    }

    private static List<string> Field(ReadOnlySpan<byte> line, ref int i)
    {
        List<string> parts = [];
        List<byte> part = [];
        bool isQuoted = false;
        for (; i < line.Length && (isQuoted || !IsBlank(line[i])); i++)
        {
            byte letter = line[i];
            if (letter == '"')
                isQuoted = !isQuoted;
            else if (letter == '\\')
                part.Add(Escaped(line, ref i));
            else if (letter == ',' && !isQuoted)
                parts.Add(Take(part));
            else
                part.Add(letter);
        }
        if (isQuoted)
            throw new CommandException("a quotation does not end: write \\\" for the character itself");
        parts.Add(Take(part));
        return parts;
    }

    /// <summary>What a backslash makes of what follows it.</summary>
    private static byte Escaped(ReadOnlySpan<byte> line, ref int i)
    {
        const int Digits = 3;
        if (i + 1 == line.Length)
            throw new CommandException("ends with a backslash, and a line does not go on in the next one");
        ReadOnlySpan<byte> octal = line[(i + 1)..Math.Min(i + 1 + Digits, line.Length)];
        if (octal.Length < Digits || octal[0] > '3' || octal.ContainsAnyExceptInRange((byte)'0', (byte)'7'))
            return line[++i];
        i += Digits;
        return (byte)((octal[0] - '0') * 64 + (octal[1] - '0') * 8 + octal[2] - '0');
    }

    private static string Take(List<byte> part)
    {
        byte[] bytes = [.. part];
        part.Clear();
        if (bytes.AsSpan().ContainsAnyInRange((byte)0, (byte)0x1f))
            throw new CommandException("has a control character in a field");
        try
        {
            return Strict.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            throw new CommandException("is not text in UTF-8");
        }
    }

    private static bool IsBlank(byte letter) => letter is (byte)' ' or (byte)'\t' or (byte)'\r';
}
