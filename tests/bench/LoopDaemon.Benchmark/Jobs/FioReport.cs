using System.Text.Json;

namespace LoopDaemon.Benchmark.Jobs;

/// <summary>What fio did, reads and writes together.</summary>
/// <param name="Bytes">How much was moved.</param>
/// <param name="Operations">In how many requests.</param>
/// <param name="Seconds">How long it took, a sync at the end included.</param>
internal sealed record FioReport(long Bytes, long Operations, double Seconds)
{
    internal double BytesPerSecond => Bytes / Seconds;

    internal double OperationsPerSecond => Operations / Seconds;

    public static FioReport operator +(FioReport left, FioReport right) =>
        new(left.Bytes + right.Bytes, left.Operations + right.Operations, left.Seconds + right.Seconds);

    /// <summary>Reads fio's JSON output, of a run with --group_reporting.</summary>
    /// <exception cref="MeasurementException">It is none, or says that the job failed or did nothing.</exception>
    internal static FioReport Parse(string text)
    {
        // fio puts its warnings before it.
        int begin = text.StartsWith('{') ? 0 : text.IndexOf("\n{", StringComparison.Ordinal);
        if (begin < 0)
            throw new MeasurementException("fio printed no JSON");
        using JsonDocument json = JsonDocument.Parse(text.AsMemory(begin));
        JsonElement job = json.RootElement.GetProperty("jobs")[0];
        if (job.GetProperty("error").GetInt32() is var error and not 0)
            throw new MeasurementException($"fio's job failed with error {error}");
        FioReport report = Direction(job.GetProperty("read")) + Direction(job.GetProperty("write"));
        return report.Bytes > 0 && report.Seconds > 0 ? report : throw new MeasurementException("fio moved no data");
    }

    /// <summary>The runtime is in whole milliseconds, and of the longest of several processes; the rate is exact.</summary>
    private static FioReport Direction(JsonElement direction)
    {
        long bytes = direction.GetProperty("io_bytes").GetInt64();
        double rate = direction.GetProperty("bw_bytes").GetDouble();
        return new FioReport(bytes, direction.GetProperty("total_ios").GetInt64(), rate > 0 ? bytes / rate : 0);
    }
}
