using LoopDaemon.Benchmark.Jobs;
using LoopDaemon.Benchmark.Targets;

namespace LoopDaemon.Benchmark;

/// <summary>How long a run will take, more or less.</summary>
internal sealed class Estimate(BenchmarkOptions options, IReadOnlyCollection<Configuration> configurations)
{
    /// <summary>The configurations whose flat costs are measured.</summary>
    internal static readonly string[] FlatConfigurations = ["xor-threads", "xor-uring"];

    // Seen on a machine of two cores: what fio, losetup and the accounting take beside a timed job, and how fast a slow
    // target passes over an image, through a cache.
    private static readonly TimeSpan Around = TimeSpan.FromSeconds(0.4);
    private const double CachedBytesPerSecond = 900 << 20;
    private const double UnpackedBytesPerSecond = 60 << 20;
    private const double FilledBytesPerSecond = 500 << 20;

    internal TimeSpan Total => (options.Places.Count * (Throughput + FileSystem)) + Flat;

    private TimeSpan Timed => options.TimePerJob + Around;

    private TimeSpan Passes => ThroughputJob.Passes * (Around + TimeSpan.FromSeconds(options.ImageBytes / CachedBytesPerSecond));

    private TimeSpan Throughput
    {
        get
        {
            if (!options.Parts.Contains(BenchmarkOptions.Throughput))
                return TimeSpan.Zero;
            int targets = configurations.Sum(configuration => Target.Of(configuration).Count());
            TimeSpan jobs = options.Jobs.Aggregate(TimeSpan.Zero, (sum, job) => sum + (job.Kind == JobKind.Timed ? Timed : Passes));
            TimeSpan start = TimeSpan.FromSeconds(3 + (options.ImageBytes / FilledBytesPerSecond));
            return (options.Rounds * targets * jobs) + (configurations.Count * start);
        }
    }

    private TimeSpan FileSystem => options.Parts.Contains(BenchmarkOptions.Files)
        ? options.Rounds * configurations.Count * TimeSpan.FromSeconds(3 + (options.TreeBytes / UnpackedBytesPerSecond)) : TimeSpan.Zero;

    private TimeSpan Flat => options.Parts.Contains(BenchmarkOptions.Flat)
        ? options.Rounds * configurations.Count(configuration => FlatConfigurations.Contains(configuration.Id)) * FlatPhase.Variants.Length * FlatPhase.Jobs.Length * Timed
            + TimeSpan.FromSeconds(15) : TimeSpan.Zero;
}
