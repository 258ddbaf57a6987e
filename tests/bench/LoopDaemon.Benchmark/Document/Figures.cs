using System.Globalization;
using LoopDaemon.Benchmark.Results;

namespace LoopDaemon.Benchmark.Document;

/// <summary>How figures are written: with three digits that count, and a dash where there is none.</summary>
internal static class Figures
{
    internal const string None = "-";

    internal static string Of(double? value) => value switch
    {
        null => None,
        >= 99.95 => Write(value.Value, "0"),
        >= 9.995 => Write(value.Value, "0.0"),
        _ => Write(value.Value, "0.00"),
    };

    internal static string Of(Statistics? statistics) => Of(statistics?.Median);

    /// <summary>A median and its spread: <c>5363 4 %</c>.</summary>
    internal static string WithSpread(Statistics? statistics) =>
        statistics is null ? None : Of(statistics) + Spread(statistics);

    /// <summary>A median, its ratio to the baseline and its spread: <c>5363 (1.02) 4 %</c>.</summary>
    internal static string WithRatio(Statistics? statistics, double? ratio) =>
        statistics is null ? None : $"{Of(statistics)} ({Of(ratio)}){Spread(statistics)}";

    internal static string Bytes(long bytes) => bytes switch
    {
        >= 1L << 40 => $"{Of((double)bytes / (1L << 40))} TiB",
        >= 1 << 30 => $"{Of((double)bytes / (1 << 30))} GiB",
        _ => $"{Of((double)bytes / (1 << 20))} MiB",
    };

    private static string Spread(Statistics statistics) =>
        statistics.Spread is { } spread ? $" {Write(spread * 100, "0")} %" : "";

    private static string Write(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
