using LoopDaemon.Benchmark.Jobs;
using LoopDaemon.Benchmark.Machine;
using LoopDaemon.Benchmark.Results;
using LoopDaemon.Benchmark.Targets;

namespace LoopDaemon.Benchmark;

/// <summary>One run: everything that is to be measured, in turn.</summary>
internal sealed class BenchmarkRun(BenchmarkOptions options, string commandLine, CancellationToken cancellation)
{
    private readonly Progress _progress = new();

    /// <exception cref="MeasurementException">Nothing can be measured here.</exception>
    /// <exception cref="OperationCanceledException">The run was cancelled.</exception>
    internal BenchmarkResults Run()
    {
        DateTimeOffset started = DateTimeOffset.UtcNow;
        using var workspace = new Workspace(Path.GetTempPath());
        using var uring = UringSwitch.TurnOn();
        var installation = new Installation(uring.Obstacle, cancellation);
        Configuration[] possible = [.. options.Configurations.Where(configuration => configuration.Obstacle(installation) is null)];
        if (!possible.Contains(Configurations.Baseline))
            throw new MeasurementException($"there is nothing to compare with: {Configurations.Baseline.Obstacle(installation)}");

        var space = new Space(options, possible.Length);
        space.CheckMemory();
        using Place memory = Place.InMemory(workspace, space.MemoryBytes);
        _progress.Say($"about {new Estimate(options, possible).Total.TotalMinutes:0} minutes for {possible.Length} configurations");
        FileTree tree = FileTree.Build(Path.Combine(memory.Folder, "tree.tar"), options.TreeBytes, cancellation);
        var results = new BenchmarkResults(new RunDescription(
            started, TimeSpan.Zero, $"tests/bench/run.sh {commandLine}".TrimEnd(), options.Rounds, options.TimePerJob.TotalSeconds, options.ImageBytes,
            tree.Files, tree.Bytes, MachineDescription.Read(cancellation)));
        foreach (Configuration configuration in options.Configurations.Except(possible))
            results.Omissions.Add(new Omission(configuration.Title, configuration.Obstacle(installation)!));

        if (options.Places.Contains(Place.Memory))
            Measure(memory, workspace, installation, tree, possible, results);
        if (options.Places.Contains(Place.Disk))
        {
            space.CheckDisk(options.DiskFolder);
            using Place disk = Place.OnDisk(options.DiskFolder);
            Measure(disk, workspace, installation, tree, possible, results);
        }
        if (options.Parts.Contains(BenchmarkOptions.Flat))
        {
            new FlatPhase(options, installation, results, _progress, cancellation)
                .Run(memory, workspace, [.. possible.Where(configuration => Estimate.FlatConfigurations.Contains(configuration.Id))]);
        }
        return results with { Run = results.Run with { Duration = _progress.Elapsed } };
    }

    private void Measure(
        Place place, Workspace workspace, Installation installation, FileTree tree, Configuration[] configurations, BenchmarkResults results)
    {
        results.Places.Add(new PlaceDescription(place.Id, place.FileSystem, configurations.ToDictionary(
            configuration => configuration.Id, configuration => configuration.Describe(installation, place.HasDisk))));
        if (options.Parts.Contains(BenchmarkOptions.Throughput))
            new ThroughputPhase(options, installation, results, _progress, cancellation).Run(place, workspace, configurations);
        if (options.Parts.Contains(BenchmarkOptions.Files))
            new FileSystemPhase(options, installation, results, _progress, cancellation).Run(place, workspace, tree, configurations);
    }
}
