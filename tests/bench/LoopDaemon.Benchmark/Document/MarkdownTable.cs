using System.Text;

namespace LoopDaemon.Benchmark.Document;

/// <summary>A table: the first column is text, the others are figures.</summary>
internal sealed class MarkdownTable(params IEnumerable<string> headings)
{
    private readonly string[] _headings = [.. headings];
    private readonly List<string[]> _rows = [];

    internal bool IsEmpty => _rows.Count == 0;

    internal void Add(params IEnumerable<string> cells) => _rows.Add([.. cells]);

    public override string ToString()
    {
        var text = new StringBuilder();
        Line(text, _headings);
        text.Append("|---|").Insert(text.Length, "---:|", _headings.Length - 1).Append('\n');
        foreach (string[] row in _rows)
            Line(text, row);
        return text.ToString();
    }

    private static void Line(StringBuilder text, string[] cells) =>
        text.Append("| ").AppendJoin(" | ", cells.Select(cell => cell.Replace("|", "\\|", StringComparison.Ordinal).ReplaceLineEndings(" "))).Append(" |\n");
}
