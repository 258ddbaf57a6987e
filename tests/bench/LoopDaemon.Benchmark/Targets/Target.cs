namespace LoopDaemon.Benchmark.Targets;

/// <summary>What a job runs on: what a configuration exposes, or a kernel loop device (direct I/O on) on top of that, which is
/// what mounting it takes.</summary>
internal sealed record Target(Configuration Configuration, bool LoopOnTop)
{
    internal const string LoopSuffix = "+loop";

    internal string Id => LoopOnTop ? Configuration.Id + LoopSuffix : Configuration.Id;

    internal static IEnumerable<Target> Of(Configuration configuration) =>
        configuration.IsFuse ? [new(configuration, false), new(configuration, true)] : [new(configuration, false)];

    /// <summary>The block device to mount a file system from: the kernel's loop device.</summary>
    internal static Target Mountable(Configuration configuration) => new(configuration, configuration.IsFuse);

    /// <summary>Does something with the path.</summary>
    internal T Use<T>(Exposure exposure, Func<string, T> action, CancellationToken cancellation) =>
        Use(exposure, direct: true, action, cancellation);

    /// <summary>Does something with the path. A kernel loop device on top is there only meanwhile, as one that holds the file
    /// open could change how the file is served to others.</summary>
    /// <param name="exposure">What the configuration exposes.</param>
    /// <param name="direct">Whether that loop device does direct I/O.</param>
    /// <param name="action">What to do.</param>
    /// <param name="cancellation">Gives up.</param>
    internal T Use<T>(Exposure exposure, bool direct, Func<string, T> action, CancellationToken cancellation)
    {
        if (!LoopOnTop)
            return action(exposure.Path);
        using var top = KernelLoopDevice.Attach(exposure.Path, direct, cancellation);
        return action(top.Path);
    }
}
