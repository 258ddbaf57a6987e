namespace LoopDaemon.Linux.Tests;

public sealed class ProcessorsTests
{
    [Theory]
    [InlineData("0\n", new[] { 0 })]
    [InlineData("0-3\n", new[] { 0, 1, 2, 3 })]
    [InlineData("0-1,4,6-7\n", new[] { 0, 1, 4, 6, 7 })]
    [InlineData("\n", new int[0])]
    public void Lists_are_read(string list, int[] numbers) => Assert.Equal(numbers, Processors.Parse(list));

    [Fact]
    public void Those_that_run_are_possible()
    {
        Assert.NotEmpty(Processors.Online);
        Assert.Subset(Processors.Possible.ToHashSet(), Processors.Online.ToHashSet());
    }
}
