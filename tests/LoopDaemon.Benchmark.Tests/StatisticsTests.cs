using LoopDaemon.Benchmark.Results;

namespace LoopDaemon.Benchmark.Tests;

public sealed class StatisticsTests
{
    [Theory]
    [InlineData(new[] { 3.0, 1.0, 2.0 }, 2.0, 1.0)]
    [InlineData(new[] { 4.0, 1.0, 2.0, 3.0 }, 2.5, 1.2)]
    [InlineData(new[] { 8.0, 8.0, 8.0 }, 8.0, 0.0)]
    public void Median_is_the_middle_and_spread_the_range_as_a_part_of_it(double[] values, double median, double spread)
    {
        Statistics statistics = Statistics.Of(values)!;
        Assert.Equal(median, statistics.Median);
        Assert.Equal(spread, statistics.Spread!.Value, 12);
    }

    [Fact]
    public void One_value_has_no_spread() => Assert.Equal(new Statistics(5, null), Statistics.Of([5]));

    [Fact]
    public void Of_nothing_there_is_none() => Assert.Null(Statistics.Of([]));
}
