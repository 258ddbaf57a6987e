namespace LoopDaemon.Benchmark.Jobs;

/// <summary>How a job is run.</summary>
internal enum JobKind
{
    /// <summary>For a set time, past the page cache of the file that it works on.</summary>
    Timed,

    /// <summary>Whole passes over the file through its page cache, each on a cold cache and with a sync at its end.</summary>
    Passes,
}

/// <summary>What a job's figure counts.</summary>
internal enum ThroughputUnit
{
    /// <summary>MiB a second.</summary>
    MebibytesPerSecond,

    /// <summary>Thousands of requests a second.</summary>
    ThousandOperationsPerSecond,
}

/// <summary>A fio job.</summary>
/// <param name="Id">Its name in options and in the raw data.</param>
/// <param name="Title">Its name in the document.</param>
/// <param name="Kind">How it is run.</param>
/// <param name="Unit">What counts.</param>
/// <param name="Options">What makes it this job, as fio's options.</param>
internal sealed record ThroughputJob(string Id, string Title, JobKind Kind, ThroughputUnit Unit, string[] Options)
{
    /// <summary>How often a job of <see cref="JobKind.Passes"/> goes over the file.</summary>
    internal const int Passes = 3;

    internal static readonly IReadOnlyList<ThroughputJob> All =
    [
        Timed("seqread", "seq. read 1 MiB qd8", ThroughputUnit.MebibytesPerSecond, "--rw=read", "--bs=1M", "--iodepth=8"),
        Timed("seqwrite", "seq. write 1 MiB qd8", ThroughputUnit.MebibytesPerSecond, "--rw=write", "--bs=1M", "--iodepth=8"),
        Timed("randread1", "rand. read 4 KiB qd1", ThroughputUnit.ThousandOperationsPerSecond, "--rw=randread", "--bs=4k", "--iodepth=1"),
        Timed("randread32", "rand. read 4 KiB qd32 x 4", ThroughputUnit.ThousandOperationsPerSecond, "--rw=randread", "--bs=4k", "--iodepth=32", "--numjobs=4"),
        Timed("randwrite32", "rand. write 4 KiB qd32 x 4", ThroughputUnit.ThousandOperationsPerSecond, "--rw=randwrite", "--bs=4k", "--iodepth=32", "--numjobs=4"),
        new("bufread", "buffered read", JobKind.Passes, ThroughputUnit.MebibytesPerSecond, ["--rw=read", "--bs=1M", "--ioengine=psync"]),
        new("bufwrite", "buffered write + fsync", JobKind.Passes, ThroughputUnit.MebibytesPerSecond, ["--rw=write", "--bs=1M", "--ioengine=psync", "--end_fsync=1"]),
    ];

    /// <summary>The unit as the document's tables name it.</summary>
    internal string UnitName => Unit == ThroughputUnit.MebibytesPerSecond ? "MiB/s" : "k IOPS";

    /// <summary>The job's figure in its unit.</summary>
    internal double Figure(double bytesPerSecond, double operationsPerSecond) =>
        Unit == ThroughputUnit.MebibytesPerSecond ? bytesPerSecond / (1 << 20) : operationsPerSecond / 1000;

    private static ThroughputJob Timed(string id, string title, ThroughputUnit unit, params string[] options) =>
        new(id, title, JobKind.Timed, unit, ["--direct=1", "--ioengine=io_uring", .. options]);
}
