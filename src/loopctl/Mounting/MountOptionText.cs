namespace LoopDaemon.CommandLine;

/// <summary>The text of mount(8)'s options: commas between them, and double quotes around what has commas of its own.</summary>
internal static class MountOptionText
{
    /// <summary>Takes it apart; quotes stay.</summary>
    internal static IReadOnlyList<string> Split(string text)
    {
        List<string> options = [];
        bool isQuoted = false;
        int start = 0;
        for (int i = 0; i <= text.Length; i++)
        {
            if (i < text.Length && text[i] == '"')
                isQuoted = !isQuoted;
            if (i < text.Length && (isQuoted || text[i] != ','))
                continue;
            if (i > start)
                options.Add(text[start..i]);
            start = i + 1;
        }
        return options;
    }

    /// <summary>An option without its quotes.</summary>
    internal static string Unquote(string option) => option.Replace("\"", "", StringComparison.Ordinal);
}
