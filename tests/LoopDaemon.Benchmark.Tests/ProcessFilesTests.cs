using LoopDaemon.Benchmark.Processes;

namespace LoopDaemon.Benchmark.Tests;

public sealed class ProcessFilesTests
{
    [Fact]
    public void A_process_may_have_any_name()
    {
        ProcessStatus status = ProcessStatus.Parse(
            "4711 (nbdkit) S (2) R 17 4711 4711 0 -1 4194304 900 0 0 0 125 375 0 0 20 0 17 0 99 1000 200 18446744073709551615");
        Assert.Equal(new ProcessStatus(4711, 17, 5.0), status);
    }

    [Fact]
    public void Waiting_stolen_and_guest_time_is_not_busy() =>
        Assert.Equal(1.06, ProcessorTime.ParseBusy("cpu  10 20 30 4000 5000 40 6 7000 8000 0"));

    [Fact]
    public void The_peak_is_in_mebibytes() =>
        Assert.Equal(61.5, ResidentMemory.ParsePeak(["Name:\tloopd", "VmHWM:\t   62976 kB", "VmRSS:\t   60000 kB"]));

    [Fact]
    public void A_process_that_has_ended_has_no_peak() => Assert.Equal(0, ResidentMemory.ParsePeak(["Name:\tloopd", "State:\tZ (zombie)"]));

    [Fact]
    public void The_tree_of_a_process_holds_its_children()
    {
        using var child = System.Diagnostics.Process.Start("sleep", "60");
        try
        {
            Assert.Contains(child.Id, ProcessTree.Of(Environment.ProcessId));
        }
        finally
        {
            child.Kill();
        }
    }
}
