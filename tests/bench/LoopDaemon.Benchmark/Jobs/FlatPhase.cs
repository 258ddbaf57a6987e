using System.Diagnostics;
using LoopDaemon.Benchmark.Machine;
using LoopDaemon.Benchmark.Results;
using LoopDaemon.Benchmark.Targets;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.Benchmark.Jobs;

/// <summary>What ought not to cost anything: other devices, a huge backing file, and the thousandth bind. In memory, where no
/// disk hides it; all variants at once, round by round.</summary>
internal sealed class FlatPhase(
    BenchmarkOptions options, Installation installation, BenchmarkResults results, Progress progress, CancellationToken cancellation)
{
    /// <summary>How many devices are bound one after another.</summary>
    internal const int BoundDevices = 1000;

    private const long HugeBytes = 8L << 40;
    private const long SmallBytes = 64 << 20;

    /// <summary>The variants: so many devices bound, or a huge backing file.</summary>
    internal static readonly string[] Variants = ["1 device", "8 devices", "64 devices", "8 TiB backing file"];

    /// <summary>The jobs that are run on each.</summary>
    internal static readonly string[] Jobs = ["randread1", "randread32", "randwrite32"];

    private sealed record Running(string Configuration, string Variant, LoopdProcess Loopd, string Path, long Offset);

    internal void Run(Place place, Workspace workspace, IReadOnlyList<Configuration> configurations)
    {
        string image = Path.Combine(place.Folder, "flat.img");
        Image.Make(image, options.ImageBytes, cancellation);
        string small = Path.Combine(place.Folder, "small.img");
        using (FileStream file = File.Create(small))
            file.SetLength(SmallBytes);
        string? huge = TryMakeHuge(place);
        foreach (LoopdConfiguration configuration in configurations.OfType<LoopdConfiguration>())
            Measure(configuration, workspace, image, small, huge);
        TimeBinding(workspace, small);
    }

    private string? TryMakeHuge(Place place)
    {
        string path = Path.Combine(place.Folder, "huge.img");
        try
        {
            Image.MakeSparse(path, HugeBytes, options.ImageBytes, cancellation);
            return path;
        }
        catch (IOException e)
        {
            results.Omissions.Add(new Omission("a backing file of 8 TiB", $"{place.FileSystem} holds no such file: {e.Message}"));
            return null;
        }
    }

    private void Measure(LoopdConfiguration configuration, Workspace workspace, string image, string small, string? huge)
    {
        var running = new List<Running>();
        try
        {
            foreach ((string variant, int devices) in Variants.Zip([1, 8, 64]))
                running.Add(Start(configuration, variant, workspace, image, 0, small, devices - 1));
            if (huge is not null)
                running.Add(Start(configuration, Variants[^1], workspace, huge, HugeBytes - options.ImageBytes, small, 0));
            for (int round = 0; round < options.Rounds; round++)
            {
                foreach (string job in Jobs)
                {
                    foreach (Running variant in running)
                        Measure(variant, ThroughputJob.All.Single(known => known.Id == job), round);
                }
            }
        }
        catch (MeasurementException e)
        {
            results.Omissions.Add(new Omission($"flat costs, {configuration.Title}", e.Message));
            progress.Say($"flat costs: {configuration.Id}: {e.Message}");
        }
        finally
        {
            foreach (Running variant in running)
                variant.Loopd.Dispose();
        }
    }

    /// <summary>All variants share the image, as they take their turns.</summary>
    private Running Start(
        LoopdConfiguration configuration, string variant, Workspace workspace, string image, long offset, string small, int others)
    {
        LoopdProcess loopd = configuration.Start(workspace, installation, ["--max-loop", "64"], cancellation);
        try
        {
            string path = configuration.Bind(loopd, image, direct: false, workspace, cancellation);
            using ControlClient client = ControlClient.Connect(loopd.Socket);
            using FileDescriptor file = FileDescriptor.Open(small, OpenFlags.ReadWrite);
            for (int i = 0; i < others; i++)
                client.Configure(new ConfigureRequest { BackingFile = file });
            Fio.Run(path, offset, options.ImageBytes, TimeSpan.FromSeconds(1), ThroughputJob.All.Single(job => job.Id == Jobs[^1]).Options, cancellation);
            return new Running(configuration.Id, variant, loopd, path, offset);
        }
        catch
        {
            loopd.Dispose();
            throw;
        }
    }

    private void Measure(Running variant, ThroughputJob job, int round)
    {
        FioReport report = Fio.Run(variant.Path, variant.Offset, options.ImageBytes, options.TimePerJob, job.Options, cancellation);
        results.Flat.Add(new FlatSample(variant.Configuration, variant.Variant, job.Id, round + 1, report.OperationsPerSecond));
        progress.Say(FormattableString.Invariant(
            $"flat costs: round {round + 1} of {options.Rounds}: {job.Id}: {variant.Configuration}, {variant.Variant}: {report.OperationsPerSecond / 1000:0.0} k IOPS"));
    }

    /// <summary>Binds over the control socket, without loopctl: what the daemon itself takes.</summary>
    private void TimeBinding(Workspace workspace, string small)
    {
        try
        {
            using LoopdProcess loopd = LoopdProcess.Start(installation, workspace, [], cancellation);
            using ControlClient client = ControlClient.Connect(loopd.Socket);
            using FileDescriptor file = FileDescriptor.Open(small, OpenFlags.ReadWrite);
            var milliseconds = new List<double>();
            for (int i = 0; i < BoundDevices; i++)
            {
                cancellation.ThrowIfCancellationRequested();
                var clock = Stopwatch.StartNew();
                client.Configure(new ConfigureRequest { BackingFile = file });
                milliseconds.Add(clock.Elapsed.TotalMilliseconds);
            }
            var times = new BindTimes(BoundDevices, milliseconds[0],
                Statistics.Of(milliseconds.Skip(1).Take(10))!.Median, Statistics.Of(milliseconds.TakeLast(10))!.Median);
            results.Binding.Add(times);
            progress.Say(FormattableString.Invariant(
                $"binding: the first device {times.First:0.00} ms, the next ten {times.MedianOfFirstTen:0.00} ms, the last ten of {BoundDevices} {times.MedianOfLastTen:0.00} ms"));
        }
        catch (Exception e) when (e is MeasurementException or ControlException)
        {
            results.Omissions.Add(new Omission($"binding {BoundDevices} devices", e.Message));
            progress.Say($"binding: {e.Message}");
        }
    }
}
