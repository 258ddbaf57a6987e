using LoopDaemon.Benchmark.Machine;
using LoopDaemon.Benchmark.Results;
using LoopDaemon.Benchmark.Targets;

namespace LoopDaemon.Benchmark.Jobs;

/// <summary>The fio jobs at one place, round by round: all targets of one job, then the next job, so that what changes on the
/// machine meanwhile meets all targets alike.</summary>
internal sealed class ThroughputPhase(
    BenchmarkOptions options, Installation installation, BenchmarkResults results, Progress progress, CancellationToken cancellation)
{
    private static readonly TimeSpan WarmUpTime = TimeSpan.FromSeconds(1);

    internal void Run(Place place, Workspace workspace, IReadOnlyList<Configuration> configurations)
    {
        var exposures = new Dictionary<Configuration, Exposure>();
        try
        {
            foreach (Configuration configuration in configurations)
                TryExpose(configuration, place, workspace, exposures);
            Target[] targets = [.. exposures.Keys.SelectMany(Target.Of)];
            for (int round = 0; round < options.Rounds; round++)
            {
                foreach (ThroughputJob job in options.Jobs)
                {
                    foreach (Target target in targets)
                        TryMeasure(place, round, job, target, exposures[target.Configuration]);
                }
            }
        }
        finally
        {
            foreach (Exposure exposure in exposures.Values)
                exposure.Dispose();
            foreach (Configuration configuration in configurations)
                File.Delete(ImagePath(place, configuration));
        }
    }

    private static string ImagePath(Place place, Configuration configuration) => Path.Combine(place.Folder, $"{configuration.Id}.img");

    /// <summary>Every configuration has an image of its own, all alike, and is warmed up: a daemon's first second is no part
    /// of any figure, whether it compiles then or not.</summary>
    private void TryExpose(Configuration configuration, Place place, Workspace workspace, Dictionary<Configuration, Exposure> exposures)
    {
        progress.Say($"{place.Id}: {configuration.Id} starts");
        try
        {
            string image = ImagePath(place, configuration);
            Image.Make(image, options.ImageBytes, cancellation);
            Exposure exposure = configuration.Expose(image, place.HasDisk, workspace, installation, cancellation);
            exposures.Add(configuration, exposure);
            Fio.Run(exposure.Path, 0, options.ImageBytes, WarmUpTime,
                ["--rw=randrw", "--bs=4k", "--direct=1", "--ioengine=io_uring", "--iodepth=32"], cancellation);
        }
        catch (MeasurementException e)
        {
            results.Omissions.Add(new Omission($"{configuration.Title} ({place.Id})", e.Message));
            progress.Say($"{place.Id}: {configuration.Id} is left out: {e.Message}");
            if (exposures.Remove(configuration, out Exposure? exposure))
                exposure.Dispose();
        }
    }

    private void TryMeasure(Place place, int round, ThroughputJob job, Target target, Exposure exposure)
    {
        string what = $"{place.Id}: round {round + 1} of {options.Rounds}: {job.Id}: {target.Id}";
        try
        {
            (FioReport report, Cost cost) = target.Use(exposure, path => Measure(path, job, exposure.Processes), cancellation);
            results.Throughput.Add(new ThroughputSample(
                place.Id, target.Id, job.Id, round + 1, report.Bytes, report.BytesPerSecond, report.OperationsPerSecond, cost));
            progress.Say(FormattableString.Invariant($"{what}: {job.Figure(report.BytesPerSecond, report.OperationsPerSecond):0.0} {job.UnitName}"));
        }
        catch (MeasurementException e)
        {
            results.Omissions.Add(new Omission(what, e.Message));
            progress.Say($"{what}: {e.Message}");
        }
    }

    private (FioReport Report, Cost Cost) Measure(string path, ThroughputJob job, IReadOnlyList<int> daemon)
    {
        if (job.Kind == JobKind.Timed)
            return Cost.Of(daemon, () => Fio.Run(path, 0, options.ImageBytes, options.TimePerJob, job.Options, cancellation));
        var passes = Enumerable.Range(0, ThroughputJob.Passes).Select(_ =>
        {
            PageCache.Drop();
            return Cost.Of(daemon, () => Fio.RunOnce(path, options.ImageBytes, job.Options, cancellation));
        });
        return passes.Aggregate((sum, pass) => (sum.Result + pass.Result, sum.Cost + pass.Cost));
    }
}
