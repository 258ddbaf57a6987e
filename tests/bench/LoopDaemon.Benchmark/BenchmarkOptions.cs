using System.CommandLine;
using System.Globalization;
using System.IO.Enumeration;
using LoopDaemon.Benchmark.Jobs;
using LoopDaemon.Benchmark.Machine;
using LoopDaemon.Benchmark.Targets;

namespace LoopDaemon.Benchmark;

/// <summary>What the benchmark was told on its command line.</summary>
/// <param name="Rounds">How many rounds.</param>
/// <param name="TimePerJob">How long a timed fio job runs.</param>
/// <param name="ImageBytes">The size of an image.</param>
/// <param name="TreeBytes">How much the files of the real job hold.</param>
/// <param name="Places">Where to measure.</param>
/// <param name="DiskFolder">The folder to make the images on a disk in.</param>
/// <param name="Configurations">What to compare, the baseline included.</param>
/// <param name="Jobs">The fio jobs to run.</param>
/// <param name="Parts">Which parts to run.</param>
/// <param name="ResultsFolder">Where the document, the charts and the raw data go.</param>
/// <param name="RenderOnly">Make the document and the charts from the raw data that is there.</param>
internal sealed record BenchmarkOptions(
    int Rounds, TimeSpan TimePerJob, long ImageBytes, long TreeBytes, IReadOnlyList<string> Places, string DiskFolder,
    IReadOnlyList<Configuration> Configurations, IReadOnlyList<ThroughputJob> Jobs, IReadOnlyList<string> Parts,
    string ResultsFolder, bool RenderOnly)
{
    /// <summary>The fio jobs.</summary>
    internal const string Throughput = "throughput";

    /// <summary>The real job.</summary>
    internal const string Files = "files";

    /// <summary>What ought not to cost anything.</summary>
    internal const string Flat = "flat";

    private static readonly string[] AllPlaces = [Place.Memory, Place.Disk];
    private static readonly string[] AllParts = [Throughput, Files, Flat];

    /// <summary>The command line; what it gives goes to <paramref name="run"/>, whose result is the exit code.</summary>
    internal static RootCommand Command(Func<BenchmarkOptions, int> run)
    {
        var quick = new Option<bool>("--quick") { Description = "One round of 1 s in memory with a tree of 64M, into artifacts/bench: about 6 minutes" };
        var rounds = new Option<int?>("--rounds") { HelpName = "N", Description = "How many rounds (default: 3)" };
        var seconds = new Option<double?>("--seconds") { HelpName = "S", Description = "How long a timed fio job runs (default: 2)" };
        var image = new Option<string>("--image-size") { HelpName = "SIZE", Description = "The size of an image", DefaultValueFactory = _ => "512M" };
        var tree = new Option<string?>("--tree-size") { HelpName = "SIZE", Description = "How much the files of the real job hold (default: 500M)" };
        var places = new Option<string?>("--places") { HelpName = "LIST", Description = $"Where to measure (default: {string.Join(',', AllPlaces)})" };
        var disk = new Option<string>("--disk-folder") { HelpName = "DIR", Description = "The folder to make the images on a disk in", DefaultValueFactory = _ => "/var/tmp" };
        var configurations = new Option<string>("--configurations")
        {
            HelpName = "LIST",
            Description = $"What to compare with the baseline, with * for any text: {string.Join(", ", Targets.Configurations.All.Select(configuration => configuration.Id))}",
            DefaultValueFactory = _ => "*",
        };
        var jobs = new Option<string>("--jobs")
        {
            HelpName = "LIST",
            Description = $"The fio jobs to run: {string.Join(", ", ThroughputJob.All.Select(job => job.Id))}",
            DefaultValueFactory = _ => "*",
        };
        var parts = new Option<string>("--parts") { HelpName = "LIST", Description = $"What to run: {string.Join(", ", AllParts)}", DefaultValueFactory = _ => "*" };
        var results = new Option<string?>("--results") { HelpName = "DIR", Description = "Where the document, the charts and the raw data go (default: tests/bench/results)" };
        var render = new Option<bool>("--render-only") { Description = "Measure nothing: make the document and the charts anew from the raw data" };
        var command = new RootCommand("Compares loopd with the kernel's loop device, qemu-storage-daemon and nbdfuse.")
        {
            quick, rounds, seconds, image, tree, places, disk, configurations, jobs, parts, results, render,
        };
        command.SetAction(parsed =>
        {
            bool isQuick = parsed.GetValue(quick);
            return run(new BenchmarkOptions(
                AtLeast(1, parsed.GetValue(rounds) ?? (isQuick ? 1 : 3), rounds),
                TimeSpan.FromSeconds(AtLeast(0.1, parsed.GetValue(seconds) ?? (isQuick ? 1 : 2), seconds)),
                AtLeast(16 << 20, Size(parsed.GetValue(image)!), image),
                AtLeast(1 << 20, Size(parsed.GetValue(tree) ?? (isQuick ? "64M" : "500M")), tree),
                Choose(AllPlaces, place => place, parsed.GetValue(places) ?? (isQuick ? Place.Memory : "*")),
                parsed.GetValue(disk)!,
                [Targets.Configurations.Baseline, .. Choose(Targets.Configurations.All, configuration => configuration.Id, parsed.GetValue(configurations)!)
                    .Where(configuration => configuration != Targets.Configurations.Baseline)],
                Choose(ThroughputJob.All, job => job.Id, parsed.GetValue(jobs)!),
                Choose(AllParts, part => part, parsed.GetValue(parts)!),
                parsed.GetValue(results) ?? (isQuick ? "artifacts/bench" : "tests/bench/results"),
                parsed.GetValue(render)));
        });
        return command;
    }

    /// <summary>Reads a size such as 512M.</summary>
    /// <exception cref="FormatException">It is none.</exception>
    internal static long Size(string text)
    {
        int power = text.Length == 0 ? 0 : char.ToUpperInvariant(text[^1]) switch { 'K' => 10, 'M' => 20, 'G' => 30, 'T' => 40, _ => 0 };
        return long.TryParse(power == 0 ? text : text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out long number) && number <= long.MaxValue >> power
            ? number << power : throw new FormatException($"\"{text}\" is no size; give a number with K, M, G or T");
    }

    private static T AtLeast<T>(T least, T value, Option option) where T : IComparable<T> =>
        value.CompareTo(least) >= 0 ? value : throw new FormatException($"{option.Name} must be at least {least}");

    /// <summary>The items that a list of names and patterns stands for, in their own order.</summary>
    private static List<T> Choose<T>(IReadOnlyList<T> all, Func<T, string> name, string list)
    {
        string[] patterns = list.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        foreach (string pattern in patterns)
        {
            if (!all.Any(item => FileSystemName.MatchesSimpleExpression(pattern, name(item), ignoreCase: false)))
                throw new FormatException($"nothing is named {pattern}; there are {string.Join(", ", all.Select(name))}");
        }
        return [.. all.Where(item => patterns.Any(pattern => FileSystemName.MatchesSimpleExpression(pattern, name(item), ignoreCase: false)))];
    }
}
