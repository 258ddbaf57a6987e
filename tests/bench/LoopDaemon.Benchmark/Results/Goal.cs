namespace LoopDaemon.Benchmark.Results;

/// <summary>The ratios to the kernel's loop device (direct I/O on) that a target is to reach.</summary>
/// <param name="Target">The target.</param>
/// <param name="Ratios">The least ratio in each of <see cref="Jobs"/>.</param>
internal sealed record Goal(string Target, double[] Ratios)
{
    /// <summary>How many times as fast as each peer we are to be in the random jobs at depth.</summary>
    internal const double TimesPeer = 4;

    /// <summary>The most memory that the daemon may use under load, in MiB.</summary>
    internal const double PeakMebibytes = 120;

    /// <summary>The jobs that have goals.</summary>
    internal static readonly string[] Jobs = ["seqread", "seqwrite", "randread1", "randread32", "randwrite32"];

    /// <summary>The jobs in which we are compared with the peers.</summary>
    internal static readonly string[] PeerJobs = ["randread32", "randwrite32"];

    internal static readonly IReadOnlyList<Goal> All =
    [
        new("passthrough", [1.0, 1.0, 1.0, 1.0, 1.0]),
        new("passthrough" + Targets.Target.LoopSuffix, [0.95, 0.8, 1.0, 0.8, 0.8]),
        new("xor-threads", [1.0, 0.9, 1.2, 0.7, 0.7]),
        new("xor-uring", [1.0, 1.0, 0.9, 1.0, 0.95]),
        new("xor-threads" + Targets.Target.LoopSuffix, [0.9, 0.7, 0.6, 0.55, 0.5]),
    ];
}
