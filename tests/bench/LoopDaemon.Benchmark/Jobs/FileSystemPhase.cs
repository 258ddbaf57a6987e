using LoopDaemon.Benchmark.Machine;
using LoopDaemon.Benchmark.Results;
using LoopDaemon.Benchmark.Targets;

namespace LoopDaemon.Benchmark.Jobs;

/// <summary>The real job at one place: all configurations, round by round, each on one and the same image and started anew.</summary>
internal sealed class FileSystemPhase(
    BenchmarkOptions options, Installation installation, BenchmarkResults results, Progress progress, CancellationToken cancellation)
{
    private ulong? _digest;

    internal void Run(Place place, Workspace workspace, FileTree tree, IReadOnlyList<Configuration> configurations)
    {
        string image = Path.Combine(place.Folder, "ext4.img");
        Image.Make(image, ImageBytes(options.TreeBytes), cancellation);
        for (int round = 0; round < options.Rounds; round++)
        {
            foreach (Configuration configuration in configurations)
                TryMeasure(image, place, workspace, tree, round, Target.Mountable(configuration));
        }
        File.Delete(image);
    }

    /// <summary>Room for the tree, for ext4's own tables and journal, and for a file system that is not full.</summary>
    internal static long ImageBytes(long treeBytes) => (treeBytes * 2) + (256L << 20);

    private void TryMeasure(string image, Place place, Workspace workspace, FileTree tree, int round, Target target)
    {
        string what = $"{place.Id}: round {round + 1} of {options.Rounds}: real job: {target.Id}";
        try
        {
            using Exposure exposure = target.Configuration.Expose(image, place.HasDisk, workspace, installation, cancellation);
            (FileSystemTimes times, Cost cost) = target.Use(exposure, target.Configuration.MountsDirectly, path =>
                Cost.Of(exposure.Processes, () => FileSystemJob.Run(path, tree, workspace, cancellation)), cancellation);
            // What was read is what was written, as far as all agree on it.
            _digest ??= times.Digest;
            if (times.Digest != _digest)
                throw new MeasurementException("the files that were read are not those that were written");
            results.FileSystem.Add(new FileSystemSample(place.Id, target.Id, round + 1, times, cost));
            progress.Say(FormattableString.Invariant(
                $"{what}: {times.MakeSeconds:0.0} s to make and check, {times.UnpackSeconds:0.0} s to unpack, {times.WalkSeconds:0.0} s to walk"));
        }
        catch (MeasurementException e)
        {
            results.Omissions.Add(new Omission(what, e.Message));
            progress.Say($"{what}: {e.Message}");
        }
    }
}
