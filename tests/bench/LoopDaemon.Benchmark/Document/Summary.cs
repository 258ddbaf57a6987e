using LoopDaemon.Benchmark.Results;
using LoopDaemon.Benchmark.Targets;

namespace LoopDaemon.Benchmark.Document;

/// <summary>The throughput in a few lines for a terminal: medians, and ratios to the baseline.</summary>
internal static class Summary
{
    private const int NameWidth = 24, CellWidth = 16;

    internal static IEnumerable<string> Of(BenchmarkResults results)
    {
        foreach (PlaceDescription place in results.Places)
        {
            var table = new ThroughputTable(results, place.Id);
            if (table.Jobs.Count == 0)
                continue;
            yield return "";
            yield return Line(place.FileSystem, table.Jobs.Select(job => job.Id));
            yield return Line("", table.Jobs.Select(job => job.UnitName));
            foreach (Target target in Configurations.All.SelectMany(Target.Of).Where(table.IsMeasured))
            {
                yield return Line(target.Id, table.Jobs.Select(job =>
                    $"{Figures.Of(table.Figure(target.Id, job))} ({Figures.Of(table.RatioToBaseline(target.Id, job))})"));
            }
        }
    }

    private static string Line(string name, IEnumerable<string> cells) =>
        name.PadRight(NameWidth) + string.Concat(cells.Select(cell => cell.PadLeft(CellWidth)));
}
