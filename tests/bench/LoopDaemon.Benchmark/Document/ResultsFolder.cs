using LoopDaemon.Benchmark.Results;

namespace LoopDaemon.Benchmark.Document;

/// <summary>The folder that a run writes: the document, the charts and the raw data. The notes are written by hand; a run
/// makes them if there are none and leaves them alone otherwise.</summary>
internal static class ResultsFolder
{
    internal const string Document = "README.md";
    internal const string RawData = "results.json";
    internal const string Notes = "notes.md";

    private const string EmptyNotes = "# Notes\n\nWritten by hand: what was tried, and where the time goes. A run of the benchmark leaves this file alone.\n";

    internal static void Write(string folder, BenchmarkResults results)
    {
        Directory.CreateDirectory(folder);
        results.Save(Path.Combine(folder, RawData));
        foreach (string old in Directory.EnumerateFiles(folder, ThroughputChart.Files))
            File.Delete(old);
        foreach (ThroughputChart chart in ThroughputChart.All(results))
            File.WriteAllText(Path.Combine(folder, chart.FileName), chart.ToSvg());
        File.WriteAllText(Path.Combine(folder, Document), ResultDocument.Write(results));
        if (!File.Exists(Path.Combine(folder, Notes)))
            File.WriteAllText(Path.Combine(folder, Notes), EmptyNotes);
    }
}
