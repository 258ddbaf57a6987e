using LoopDaemon.Benchmark.Jobs;
using LoopDaemon.Benchmark.Targets;

namespace LoopDaemon.Benchmark.Results;

/// <summary>The throughput at one place, summed up over the rounds.</summary>
internal sealed class ThroughputTable(BenchmarkResults results, string place)
{
    private const double Gibibyte = 1L << 30;

    private readonly ILookup<(string Target, string Job), ThroughputSample> _samples = results.Throughput
        .Where(sample => sample.Place == place).ToLookup(sample => (sample.Target, sample.Job));

    /// <summary>The jobs that were run, in the document's order.</summary>
    internal IReadOnlyList<ThroughputJob> Jobs => [.. ThroughputJob.All.Where(job => _samples.Any(group => group.Key.Job == job.Id))];

    /// <summary>The configurations that were measured, in the document's order: what they expose, or with a loop device on
    /// top. The kernel's own are in both.</summary>
    internal IReadOnlyList<Target> Targets(bool loopOnTop) =>
        [.. Configurations.All.Select(configuration => new Target(configuration, loopOnTop && configuration.IsFuse)).Where(IsMeasured)];

    internal bool IsMeasured(Target target) => _samples.Any(group => group.Key.Target == target.Id);

    /// <summary>The figure of a job in its unit, or null if it was not measured.</summary>
    internal Statistics? Figure(string target, ThroughputJob job) =>
        Statistics.Of(_samples[(target, job.Id)].Select(sample => job.Figure(sample.BytesPerSecond, sample.OperationsPerSecond)));

    /// <summary>A target's median by another's, or null if one is missing.</summary>
    internal double? Ratio(string target, string reference, ThroughputJob job) =>
        Figure(target, job) is { } measured && Figure(reference, job) is { Median: > 0 } compared ? measured.Median / compared.Median : null;

    /// <summary>The median ratio to the kernel's loop device with direct I/O on.</summary>
    internal double? RatioToBaseline(string target, ThroughputJob job) => Ratio(target, Configurations.Baseline.Id, job);

    /// <summary>The system's CPU seconds for each GiB moved.</summary>
    internal Statistics? BusyPerGibibyte(string target, ThroughputJob job) =>
        Statistics.Of(_samples[(target, job.Id)].Select(sample => sample.Cost.BusyCpuSeconds / (sample.Bytes / Gibibyte)));

    /// <summary>The daemon's own CPU seconds for each GiB moved.</summary>
    internal Statistics? DaemonPerGibibyte(string target, ThroughputJob job) =>
        Statistics.Of(_samples[(target, job.Id)].Select(sample => sample.Cost.DaemonCpuSeconds / (sample.Bytes / Gibibyte)));

    /// <summary>The most memory that the daemon used under any job, in MiB; null if there is no daemon.</summary>
    internal double? PeakMebibytes(string target)
    {
        double peak = _samples.Where(group => group.Key.Target == target).SelectMany(group => group)
            .Select(sample => sample.Cost.DaemonPeakMebibytes).DefaultIfEmpty(0).Max();
        return peak > 0 ? peak : null;
    }
}
