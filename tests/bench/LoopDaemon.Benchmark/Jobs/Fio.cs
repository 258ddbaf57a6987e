using System.Globalization;
using LoopDaemon.Benchmark.Processes;

namespace LoopDaemon.Benchmark.Jobs;

/// <summary>Runs fio(1).</summary>
internal static class Fio
{
    /// <summary>Runs a job for some time.</summary>
    /// <param name="path">The file or block device.</param>
    /// <param name="offset">Where the part to work on begins, in bytes.</param>
    /// <param name="size">How long it is, in bytes.</param>
    /// <param name="time">How long to run.</param>
    /// <param name="options">The job.</param>
    /// <param name="cancellation">Gives up.</param>
    internal static FioReport Run(
        string path, long offset, long size, TimeSpan time, IEnumerable<string> options, CancellationToken cancellation) =>
        Run(path, offset, size, time + TimeSpan.FromMinutes(1),
            [.. options, "--time_based", $"--runtime={time.TotalMilliseconds.ToString("0", CultureInfo.InvariantCulture)}ms"], cancellation);

    /// <summary>Runs a job once over the file.</summary>
    internal static FioReport RunOnce(string path, long size, IEnumerable<string> options, CancellationToken cancellation) =>
        Run(path, 0, size, TimeSpan.FromMinutes(5), [.. options], cancellation);

    private static FioReport Run(string path, long offset, long size, TimeSpan limit, string[] options, CancellationToken cancellation) =>
        FioReport.Parse(Command.Run("fio",
            ["--name=job", $"--filename={Escape(path)}", $"--offset={offset}", $"--size={size}", "--allow_file_create=0",
                "--group_reporting", "--output-format=json", .. options], limit, cancellation));

    /// <summary>A colon ends a name in fio's list of files.</summary>
    private static string Escape(string path) => path.Replace(":", "\\:", StringComparison.Ordinal);
}
