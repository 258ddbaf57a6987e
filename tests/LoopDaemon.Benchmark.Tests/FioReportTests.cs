using LoopDaemon.Benchmark.Jobs;

namespace LoopDaemon.Benchmark.Tests;

public sealed class FioReportTests
{
    /// <summary>As fio 3.33 prints it, with what is not read left out.</summary>
    private static string Output(int error = 0, long readBytes = 52_070_706, long written = 0) => $$"""
        {
          "fio version" : "fio-3.33",
          "jobs" : [
            {
              "jobname" : "job",
              "error" : {{error}},
              "read" : { "io_bytes" : {{readBytes}}, "bw_bytes" : 26035353, "iops" : 6356.287, "runtime" : 2000, "total_ios" : 12712 },
              "write" : { "io_bytes" : {{written}}, "bw_bytes" : {{written / 2}}, "iops" : 0.0, "runtime" : 0, "total_ios" : {{written / 4096}} }
            }
          ]
        }
        """;

    [Fact]
    public void A_job_is_what_it_read_and_how_long_it_took()
    {
        FioReport report = FioReport.Parse(Output());
        Assert.Equal(52_070_706, report.Bytes);
        Assert.Equal(12712, report.Operations);
        Assert.Equal(26_035_353, report.BytesPerSecond, 3);
        Assert.Equal(6356, report.OperationsPerSecond, 3);
    }

    [Fact]
    public void Warnings_before_the_report_do_not_matter() =>
        Assert.Equal(12712, FioReport.Parse("fio: this platform does not support process shared mutexes\n" + Output()).Operations);

    [Fact]
    public void Passes_add_up()
    {
        FioReport pass = FioReport.Parse(Output());
        Assert.Equal(pass.BytesPerSecond, (pass + pass).BytesPerSecond, 3);
        Assert.Equal(2 * pass.Operations, (pass + pass).Operations);
    }

    [Fact]
    public void A_failed_job_is_no_figure() => Assert.Throws<MeasurementException>(() => FioReport.Parse(Output(error: 5)));

    [Fact]
    public void A_job_that_moved_nothing_is_no_figure() => Assert.Throws<MeasurementException>(() => FioReport.Parse(Output(readBytes: 0)));

    [Fact]
    public void No_report_is_no_figure() => Assert.Throws<MeasurementException>(() => FioReport.Parse("fio: failed\n"));
}
