using System.Globalization;
using System.Text;

namespace LoopDaemon.CommandLine;

/// <summary>Strings of JSON as util-linux writes them: only what must be escaped is.</summary>
internal static class JsonText
{
    internal static string Quote(string text)
    {
        var quoted = new StringBuilder(text.Length + 2).Append('"');
        foreach (char letter in text)
        {
            switch (letter)
            {
                case '"' or '\\':
                    quoted.Append('\\').Append(letter);
                    break;
                case '\b':
                    quoted.Append("\\b");
                    break;
                case '\t':
                    quoted.Append("\\t");
                    break;
                case '\n':
                    quoted.Append("\\n");
                    break;
                case '\f':
                    quoted.Append("\\f");
                    break;
                case '\r':
                    quoted.Append("\\r");
                    break;
                case < ' ':
                    quoted.Append(CultureInfo.InvariantCulture, $"\\u00{(int)letter:x2}");
                    break;
                default:
                    quoted.Append(letter);
                    break;
            }
        }
        return quoted.Append('"').ToString();
    }
}
