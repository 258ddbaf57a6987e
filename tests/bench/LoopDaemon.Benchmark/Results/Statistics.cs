namespace LoopDaemon.Benchmark.Results;

/// <summary>What several rounds gave.</summary>
/// <param name="Median">The middle value.</param>
/// <param name="Spread">From the least to the greatest, as a part of the median; null after one round.</param>
internal sealed record Statistics(double Median, double? Spread)
{
    /// <summary>Of some values; null if there are none.</summary>
    internal static Statistics? Of(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        if (sorted.Length == 0)
            return null;
        int middle = sorted.Length / 2;
        double median = sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
        return new Statistics(median, sorted.Length == 1 || median == 0 ? null : (sorted[^1] - sorted[0]) / median);
    }
}
