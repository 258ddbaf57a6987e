using LoopDaemon.Benchmark.Document;
using LoopDaemon.Benchmark.Jobs;
using LoopDaemon.Benchmark.Results;

namespace LoopDaemon.Benchmark.Tests;

public sealed class DocumentTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("loopd-document-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_figure_has_its_ratio_to_the_baseline_and_its_spread() =>
        Assert.Contains("| loopd, XOR, threads | 75.0 (0.75) 20 % |", Document(), StringComparison.Ordinal);

    [Fact]
    public void A_goal_is_met_or_missed()
    {
        string document = Document();
        Assert.Contains("0.75 (goal 0.70) met", document, StringComparison.Ordinal);
        Assert.Contains("2.50 (goal 4.00) **missed**", document, StringComparison.Ordinal);
        Assert.Contains("80.0 MiB; the goal is at most 120 MiB: met", document, StringComparison.Ordinal);
    }

    [Fact]
    public void What_was_not_measured_is_named_with_the_reason() =>
        Assert.Contains("- nbdfuse: it is not installed", Document(), StringComparison.Ordinal);

    [Fact]
    public void The_same_document_comes_of_the_raw_data()
    {
        ResultsFolder.Write(_folder, Results());
        string written = File.ReadAllText(Path.Combine(_folder, ResultsFolder.Document));
        Assert.Equal(Document(), written);
        Assert.Equal(written, ResultDocument.Write(BenchmarkResults.Load(Path.Combine(_folder, ResultsFolder.RawData))));
    }

    [Fact]
    public void Notes_are_left_alone()
    {
        string notes = Path.Combine(_folder, ResultsFolder.Notes);
        File.WriteAllText(notes, "by hand");
        ResultsFolder.Write(_folder, Results());
        Assert.Equal("by hand", File.ReadAllText(notes));
    }

    [Fact]
    public void A_chart_is_made_for_what_was_measured_alone()
    {
        ResultsFolder.Write(_folder, Results());
        Assert.Equal(["throughput-memory-exposed.svg"], Directory.EnumerateFiles(_folder, "*.svg").Select(Path.GetFileName));
        Assert.Contains("XOR, threads", File.ReadAllText(Path.Combine(_folder, "throughput-memory-exposed.svg")), StringComparison.Ordinal);
    }

    private static string Document() => ResultDocument.Write(Results());

    private static BenchmarkResults Results()
    {
        var results = new BenchmarkResults(new RunDescription(
            DateTimeOffset.UnixEpoch, TimeSpan.FromMinutes(50), "tests/bench/run.sh", 3, 2, 512 << 20, 100, 1 << 20, [new("kernel", "Linux 6.1")]));
        results.Places.Add(new PlaceDescription("memory", "tmpfs", new Dictionary<string, string> { ["qemu"] = "qemu-storage-daemon" }));
        for (int round = 0; round < 3; round++)
        {
            // 100, 75 and 30 k IOPS, with 10 % more and less in the other rounds.
            Add("kernel-direct", 100_000, 0);
            Add("xor-threads", 75_000, 80);
            Add("qemu", 30_000, 20);

            void Add(string target, double operations, double memory) => results.Throughput.Add(new ThroughputSample(
                "memory", target, "randread32", round + 1, 1 << 30, operations * 4096, operations * (0.9 + (0.1 * round)), new Cost(2, 1, memory)));
        }
        results.Omissions.Add(new Omission("nbdfuse", "it is not installed"));
        return results;
    }
}
