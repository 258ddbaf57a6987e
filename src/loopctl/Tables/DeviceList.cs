using System.Text;

namespace LoopDaemon.CommandLine;

/// <summary>Prints devices byte for byte as losetup 2.38 does, which leaves that to libsmartcols.</summary>
/// <param name="columns">The columns, in order; one may come several times.</param>
/// <param name="rows">The devices.</param>
internal sealed class DeviceList(IReadOnlyList<Column> columns, IReadOnlyList<DeviceRow> rows)
{
    /// <summary>The table; nothing at all without devices.</summary>
    /// <param name="output">Where to.</param>
    /// <param name="headings">Whether the headings are printed. The columns are as wide as they are in any case.</param>
    /// <param name="inUtf8">Whether the locale's characters are UTF-8's.</param>
    /// <param name="terminalWidth">The cells of a line of the terminal, or null where it goes somewhere else.</param>
    internal void WriteTable(TextWriter output, bool headings, bool inUtf8, int? terminalWidth)
    {
        if (rows.Count == 0)
            return;
        (string Text, int Width)[] heads = [.. columns.Select(column => CellText.ForTable(column.Name, inUtf8))];
        (string Text, int Width)[][] cells = [.. rows.Select(row => columns.Select(column => CellText.ForTable(column.Value(row), inUtf8)).ToArray())];
        int[] widths = [.. heads.Select((head, i) => Math.Max(head.Width, cells.Max(row => row[i].Width)))];
        if (terminalWidth is { } limit)
            Narrow(widths, heads, limit);
        var text = new StringBuilder();
        if (headings)
            AppendLine(text, heads, widths);
        foreach ((string, int)[] row in cells)
            AppendLine(text, row, widths);
        output.Write(text);
    }

    /// <summary>--raw: words with a space between them.</summary>
    internal void WriteRaw(TextWriter output, bool headings)
    {
        if (rows.Count == 0)
            return;
        if (headings)
            output.Write(string.Join(' ', columns.Select(column => column.Name)) + "\n");
        foreach (DeviceRow row in rows)
            output.Write(string.Join(' ', columns.Select(column => CellText.ForRaw(column.Value(row)))) + "\n");
    }

    internal void WriteJson(TextWriter output)
    {
        IEnumerable<string> objects = rows.Select(row =>
            $"{{\n{string.Join(",\n", columns.Select(column => $"         \"{column.Name.ToLowerInvariant()}\": {JsonValue(column, row)}"))}\n      }}");
        string list = rows.Count == 0 ? "" : $"      {string.Join(",", objects)}";
        output.Write($"{{\n   \"loopdevices\": [\n{list}\n   ]\n}}\n");
    }

    /// <summary>Where the terminal is too narrow, the columns that give way do so cell by cell in turn.</summary>
    private void Narrow(int[] widths, (string Text, int Width)[] heads, int limit)
    {
        int excess = widths.Sum() + widths.Length - 1 - limit;
        for (bool narrowed = true; narrowed && excess > 0;)
        {
            narrowed = false;
            for (int i = 0; i < widths.Length && excess > 0; i++)
            {
                if (!columns[i].GivesWay || widths[i] == heads[i].Width)
                    continue;
                widths[i]--;
                excess--;
                narrowed = true;
            }
        }
    }

    private void AppendLine(StringBuilder line, (string Text, int Width)[] cells, int[] widths)
    {
        for (int i = 0; i < cells.Length; i++)
        {
            (string text, int width) = cells[i];
            int room = Math.Max(0, widths[i] - width);
            bool isLast = i == cells.Length - 1;
            if (columns[i].IsRight && text.Length > 0)
                line.Append(' ', room).Append(text);
            else
                line.Append(text).Append(' ', isLast ? 0 : room);
            if (isLast)
                line.Append('\n');
            else if (width > widths[i])
                // What is too long for its column is shown in full, and the next column begins on a new line.
                line.Append('\n').Append(' ', widths[..(i + 1)].Sum() + i + 1);
            else
                line.Append(' ');
        }
    }

    private static string JsonValue(Column column, DeviceRow row)
    {
        string value = column.Value(row);
        return column.Kind switch
        {
            ColumnKind.Flag => value == "1" ? "true" : "false",
            _ when value.Length == 0 => "null",
            ColumnKind.Number => value,
            _ => JsonText.Quote(value),
        };
    }
}
