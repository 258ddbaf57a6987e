namespace LoopDaemon.Benchmark.Targets;

/// <summary>All that is compared, in the document's order.</summary>
internal static class Configurations
{
    /// <summary>What everything is compared with.</summary>
    internal static readonly Configuration Baseline = new KernelLoopConfiguration("kernel-direct", "kernel loop device, direct I/O on", direct: true);

    internal static readonly IReadOnlyList<Configuration> All =
    [
        Baseline,
        new KernelLoopConfiguration("kernel-cached", "kernel loop device, direct I/O off", direct: false),
        new LoopdConfiguration("passthrough", "loopd, passthrough", LoopdConfiguration.Threads, passthrough: true, stages: 0),
        new LoopdConfiguration("identity-threads", "loopd, identity, threads", LoopdConfiguration.Threads, passthrough: false, stages: 0),
        new LoopdConfiguration("identity-uring", "loopd, identity, uring", LoopdConfiguration.Uring, passthrough: false, stages: 0),
        new LoopdConfiguration("xor-threads", "loopd, XOR, threads", LoopdConfiguration.Threads, passthrough: false, stages: 1),
        new LoopdConfiguration("xor-uring", "loopd, XOR, uring", LoopdConfiguration.Uring, passthrough: false, stages: 1),
        new LoopdConfiguration("xor2-threads", "loopd, XOR twice, threads", LoopdConfiguration.Threads, passthrough: false, stages: 2),
        new LoopdConfiguration("xor2-uring", "loopd, XOR twice, uring", LoopdConfiguration.Uring, passthrough: false, stages: 2),
        new QemuStorageDaemon(),
        new Nbdfuse(),
    ];

    /// <summary>Those that can run here.</summary>
    internal static IEnumerable<Configuration> Possible(this IEnumerable<Configuration> configurations, Installation installation) =>
        configurations.Where(configuration => configuration.Obstacle(installation) is null);
}
