namespace LoopDaemon.Benchmark.Tests;

public sealed class OptionsTests
{
    [Theory]
    [InlineData("4096", 4096)]
    [InlineData("512M", 512L << 20)]
    [InlineData("2g", 2L << 30)]
    public void A_size_has_the_usual_letters(string text, long bytes) => Assert.Equal(bytes, BenchmarkOptions.Size(text));

    [Theory]
    [InlineData("")]
    [InlineData("M")]
    [InlineData("-1M")]
    [InlineData("9000000000G")]
    public void Other_sizes_are_refused(string text) => Assert.Throws<FormatException>(() => BenchmarkOptions.Size(text));

    [Fact]
    public void The_baseline_comes_along()
    {
        BenchmarkOptions options = Parse("--configurations", "xor*,qemu", "--jobs", "rand*");
        Assert.Equal(["kernel-direct", "xor-threads", "xor-uring", "xor2-threads", "xor2-uring", "qemu"], options.Configurations.Select(configuration => configuration.Id));
        Assert.Equal(["randread1", "randread32", "randwrite32"], options.Jobs.Select(job => job.Id));
    }

    [Fact]
    public void Quick_is_one_round_in_memory_and_leaves_the_kept_results_alone()
    {
        BenchmarkOptions options = Parse("--quick");
        Assert.Equal(1, options.Rounds);
        Assert.Equal(["memory"], options.Places);
        Assert.Equal("artifacts/bench", options.ResultsFolder);
    }

    [Theory]
    [InlineData("--configurations", "xor3")]
    [InlineData("--rounds", "0")]
    public void What_does_not_exist_is_refused(string option, string value) => Assert.Throws<FormatException>(() => Parse(option, value));

    private static BenchmarkOptions Parse(params string[] arguments)
    {
        BenchmarkOptions? parsed = null;
        BenchmarkOptions.Command(options =>
        {
            parsed = options;
            return 0;
        }).Parse(arguments).Invoke(new System.CommandLine.InvocationConfiguration { EnableDefaultExceptionHandler = false });
        return parsed!;
    }
}
