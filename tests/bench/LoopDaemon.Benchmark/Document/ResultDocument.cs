using System.Globalization;
using System.Text;
using LoopDaemon.Benchmark.Jobs;
using LoopDaemon.Benchmark.Machine;
using LoopDaemon.Benchmark.Results;
using LoopDaemon.Benchmark.Targets;

namespace LoopDaemon.Benchmark.Document;

/// <summary>The Markdown document of a run.</summary>
internal sealed class ResultDocument
{
    private readonly BenchmarkResults _results;
    private readonly StringBuilder _text = new();

    private ResultDocument(BenchmarkResults results) => _results = results;

    internal static string Write(BenchmarkResults results)
    {
        var document = new ResultDocument(results);
        document.WriteIntroduction();
        foreach (PlaceDescription place in results.Places)
        {
            var table = new ThroughputTable(results, place.Id);
            document.WriteGoals(place, table);
            document.WriteThroughput(place, table);
            document.WriteFileSystem(place);
        }
        document.WriteFlatCosts();
        document.WriteOmissions();
        document.WriteMethod();
        return document._text.ToString();
    }

    private void WriteIntroduction()
    {
        RunDescription run = _results.Run;
        Paragraph("# Benchmark results");
        Paragraph($"Written by `{run.Command}` on {run.Started.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture)} UTC, in "
            + $"{run.Duration.TotalMinutes.ToString("0", CultureInfo.InvariantCulture)} minutes; the next run overwrites it. "
            + $"What was tried, and where the time goes: [{ResultsFolder.Notes}]({ResultsFolder.Notes}). Raw data: [{ResultsFolder.RawData}]({ResultsFolder.RawData}).");
        List(run.Machine.Select(property => $"{property.Name}: {property.Value}"));
    }

    private void WriteGoals(PlaceDescription place, ThroughputTable table)
    {
        ThroughputJob[] jobs = [.. Goal.Jobs.Select(Job)];
        var goals = new MarkdownTable(["target", .. jobs.Select(job => job.Title)]);
        foreach (Goal goal in Goal.All)
        {
            goals.Add([Title(goal.Target), .. jobs.Zip(goal.Ratios, (job, least) =>
                Judge(table.RatioToBaseline(goal.Target, job), least))]);
        }
        Paragraph($"## Goals: images {Where(place)}");
        Paragraph("The ratio to the kernel's loop device (direct I/O on) in the same run, and the goal.");
        Table(goals);

        WritePeerGoals(place, table);
        WriteMemoryGoal(table);
    }

    private void WritePeerGoals(PlaceDescription place, ThroughputTable table)
    {
        ThroughputJob[] jobs = [.. Goal.PeerJobs.Select(Job)];
        Configuration[] peers = [.. Configurations.All.Where(configuration => configuration.IsPeer)];
        var comparisons = new MarkdownTable(["target", .. peers.SelectMany(peer => jobs.Select(job => $"{peer.Id}: {job.Title}"))]);
        foreach (Target ours in OurTargets(table))
        {
            comparisons.Add([Title(ours.Id), .. peers.SelectMany(peer => jobs.Select(job =>
                table.Ratio(ours.Id, (ours with { Configuration = peer }).Id, job) is var times && place.Id == Place.Memory
                    ? Judge(times, Goal.TimesPeer) : Figures.Of(times)))]);
        }
        if (comparisons.IsEmpty)
            return;
        Paragraph("How many times as fast as the peers, each on the same kind of target"
            + (place.Id == Place.Memory ? ":" : " (no goals, as the disk limits all alike):"));
        Table(comparisons);
    }

    private void WriteMemoryGoal(ThroughputTable table)
    {
        string[] ours = [.. OurTargets(table).Select(target => target.Id)];
        if (ours.Select(table.PeakMebibytes).Max() is { } peak)
        {
            Paragraph($"Most resident memory of loopd in any configuration under any job: {Figures.Of(peak)} MiB; the goal is at most "
                + $"{Figures.Of(Goal.PeakMebibytes)} MiB: {(peak <= Goal.PeakMebibytes ? "met" : "**missed**")}.");
        }
    }

    private void WriteThroughput(PlaceDescription place, ThroughputTable table)
    {
        foreach (bool loopOnTop in (bool[])[false, true])
        {
            IReadOnlyList<Target> targets = table.Targets(loopOnTop);
            if (!targets.Any(target => target.Configuration.IsFuse) && (loopOnTop || targets.Count == 0))
                continue;
            Paragraph($"## Images {Where(place)}: {(loopOnTop ? "a kernel loop device (direct I/O on) on the exposed file" : "the exposed file")}");
            if (ThroughputChart.For(_results, place, loopOnTop) is { } chart)
                Paragraph($"![Ratios to the kernel's loop device]({chart.FileName})");
            Paragraph("Median, ratio to the baseline in parentheses, and spread (from the least to the greatest, in per cent of the median).");
            WriteTable(table, targets, job => $"{job.Title}, {job.UnitName}", (target, job) =>
                Figures.WithRatio(table.Figure(target, job), table.RatioToBaseline(target, job)));
            Paragraph("CPU seconds for each GiB moved: of the whole system, fio included, and of the daemon's processes among them; and the most "
                + "memory that these had resident under any job, in MiB.");
            WriteTable(table, targets, job => job.Title, (target, job) =>
                table.BusyPerGibibyte(target, job) is { } busy
                    ? Figures.Of(busy) + (table.PeakMebibytes(target) is null ? "" : $" / {Figures.Of(table.DaemonPerGibibyte(target, job))}")
                    : Figures.None, "memory", target => Figures.Of(table.PeakMebibytes(target)));
        }
    }

    private void WriteTable(
        ThroughputTable table, IReadOnlyList<Target> targets, Func<ThroughputJob, string> heading, Func<string, ThroughputJob, string> cell,
        string? lastHeading = null, Func<string, string>? lastCell = null)
    {
        string[] last = lastHeading is null ? [] : [lastHeading];
        var rows = new MarkdownTable(["", .. table.Jobs.Select(heading), .. last]);
        foreach (Target target in targets)
        {
            string[] end = lastCell is null ? [] : [lastCell(target.Id)];
            rows.Add([target.Configuration.Title, .. table.Jobs.Select(job => cell(target.Id, job)), .. end]);
        }
        Table(rows);
    }

    private void WriteFileSystem(PlaceDescription place)
    {
        ILookup<string, FileSystemSample> samples = _results.FileSystem.Where(sample => sample.Place == place.Id).ToLookup(sample => sample.Target);
        if (samples.Count == 0)
            return;
        Func<FileSystemTimes, double>[] steps = [times => times.MakeSeconds, times => times.UnpackSeconds, times => times.WalkSeconds];
        double?[] baseline = [.. steps.Select(step => Median(samples[Configurations.Baseline.Id], step)?.Median)];
        var table = new MarkdownTable("", "mkfs.ext4, e2fsck -fn, s", "tar -x, sync, s", "walk, s", "CPU, s: system / daemon", "memory, MiB");
        foreach (Configuration configuration in Configurations.All)
        {
            FileSystemSample[] runs = [.. samples[Target.Mountable(configuration).Id]];
            if (runs.Length == 0)
                continue;
            double peak = runs.Max(run => run.Cost.DaemonPeakMebibytes);
            string busy = Figures.Of(Statistics.Of(runs.Select(run => run.Cost.BusyCpuSeconds)));
            string own = peak > 0 ? " / " + Figures.Of(Statistics.Of(runs.Select(run => run.Cost.DaemonCpuSeconds))) : "";
            table.Add([configuration.Title + (configuration.MountsDirectly ? "" : ", loop device with direct I/O off (see below)"), .. steps.Zip(baseline, (step, reference) =>
                Median(runs, step) is var times && times is not null && reference is not null
                    ? Figures.WithRatio(times, times.Median / reference) : Figures.Of(times)), busy + own, peak > 0 ? Figures.Of(peak) : Figures.None]);
        }
        Paragraph($"## Images {Where(place)}: a real job");
        Paragraph($"An ext4 on a kernel loop device (direct I/O on) on the exposed file: made and checked; an archive of {_results.Run.TreeFiles} files "
            + $"({Figures.Bytes(_results.Run.TreeBytes)}) unpacked and synced; after dropping all caches, the status of every file looked up and a tenth of the "
            + "small files read. Seconds, less is better; in parentheses as a multiple of the baseline's time; spread.");
        Table(table);
        if (Configurations.All.Any(configuration => !configuration.MountsDirectly && samples.Contains(Target.Mountable(configuration).Id)))
        {
            Paragraph("On qemu-storage-daemon 7.2 the loop device has direct I/O off, because with direct I/O on e2fsck finds what mkfs.ext4 "
                + "has just made broken nearly every time. All others pass that check, and what the walk reads is the same on all.");
        }
    }

    private void WriteFlatCosts()
    {
        if (_results.Flat.Count == 0 && _results.Binding.Count == 0)
            return;
        Paragraph("## Flat costs");
        if (_results.Flat.Count > 0)
        {
            Paragraph("One device of a daemon that has others bound, and a sparse backing file of 8 TiB of which the last part, as long as the other images, "
                + "holds data and is worked on. In memory, XOR; k IOPS, spread.");
            var table = new MarkdownTable(["", .. FlatPhase.Variants]);
            foreach (var group in _results.Flat.GroupBy(sample => (sample.Configuration, sample.Job)))
            {
                table.Add([$"{Title(group.Key.Configuration)}, {Job(group.Key.Job).Title}", .. FlatPhase.Variants.Select(variant =>
                    Figures.WithSpread(Statistics.Of(group.Where(sample => sample.Variant == variant).Select(sample => sample.OperationsPerSecond / 1000))))]);
            }
            Table(table);
        }
        foreach (BindTimes times in _results.Binding)
        {
            Paragraph($"Binding {times.Devices} devices one after another over the control socket: the first, in a daemon just started, took {Figures.Of(times.First)} ms, "
                + $"the next ten {Figures.Of(times.MedianOfFirstTen)} ms each, the last ten {Figures.Of(times.MedianOfLastTen)} ms (medians).");
        }
    }

    private void WriteOmissions()
    {
        Paragraph("## Skipped");
        if (_results.Omissions.Count == 0)
            Paragraph("Nothing.");
        else
            List(_results.Omissions.Select(omission => $"{omission.What}: {Workspace.Shorten(omission.Reason)}"));
    }

    private void WriteMethod()
    {
        RunDescription run = _results.Run;
        Paragraph("## How it is measured");
        Paragraph($"""
            - {run.Rounds} rounds. In each, all targets run one job, then all run the next, so that what changes on the machine meets all alike.
            - Every configuration has an image of its own of {Figures.Bytes(run.ImageBytes)}, all with the same random contents, written in full beforehand.
            - Every daemon is warmed up for a second before the first round, and runs to the last.
            - A kernel loop device on an exposed file is there only while it is measured.
            - Jobs past the page cache run for {run.SecondsPerJob.ToString("0.#", CultureInfo.InvariantCulture)} s (fio, io_uring, O_DIRECT). Buffered jobs pass {ThroughputJob.Passes} times over the image (psync, 1 MiB);
              before each pass everything is synced and all caches are dropped, and the fsync at the end of writing counts.
            - Images on a disk are opened with O_DIRECT by all that can: nbdkit's file plug-in and the kernel's loop device with direct I/O off go through
              the page cache, which the jobs past the cache then read from as well. In memory there is nothing to bypass.
            - CPU of the whole system is what /proc/stat calls neither idle nor waiting; of the daemon, utime and stime of all its processes. Memory is VmHWM,
              reset before each job.
            """);
        foreach (PlaceDescription place in _results.Places)
        {
            Paragraph($"The commands, {Where(place)}:");
            Paragraph("```\n" + string.Join('\n', place.Commands.Select(command => $"{command.Key + ":",-18}{command.Value}")) + "\n```");
        }
    }

    private static IEnumerable<Target> OurTargets(ThroughputTable table) =>
        table.Targets(loopOnTop: false).Concat(table.Targets(loopOnTop: true)).Where(target => target.Configuration.IsFuse && !target.Configuration.IsPeer);

    private static Statistics? Median(IEnumerable<FileSystemSample> samples, Func<FileSystemTimes, double> step) =>
        Statistics.Of(samples.Select(sample => step(sample.Times)));

    private static string Judge(double? ratio, double least) => ratio is null ? $"{Figures.None} (goal {Figures.Of(least)})"
        : $"{Figures.Of(ratio)} (goal {Figures.Of(least)}) {(ratio >= least ? "met" : "**missed**")}";

    private static string Where(PlaceDescription place) => place.Id == Place.Memory ? $"in memory ({place.FileSystem})" : $"on a disk ({place.FileSystem})";

    private static string Title(string target)
    {
        bool loopOnTop = target.EndsWith(Target.LoopSuffix, StringComparison.Ordinal);
        string id = loopOnTop ? target[..^Target.LoopSuffix.Length] : target;
        return Configurations.All.First(configuration => configuration.Id == id).Title + (loopOnTop ? ", loop device on top" : "");
    }

    private static ThroughputJob Job(string id) => ThroughputJob.All.First(job => job.Id == id);

    private void Paragraph(string text) => _text.Append(text).Append("\n\n");

    private void List(IEnumerable<string> items) => Paragraph(string.Join('\n', items.Select(item => "- " + item)));

    private void Table(MarkdownTable table) => _text.Append(table).Append('\n');
}
