using LoopDaemon.Benchmark.Processes;

namespace LoopDaemon.Benchmark.Jobs;

/// <summary>What a piece of work cost, besides its time.</summary>
/// <param name="BusyCpuSeconds">CPU seconds of the whole system.</param>
/// <param name="DaemonCpuSeconds">Those of the daemon's processes among them.</param>
/// <param name="DaemonPeakMebibytes">The most memory that the daemon's processes had in use.</param>
internal readonly record struct Cost(double BusyCpuSeconds, double DaemonCpuSeconds, double DaemonPeakMebibytes)
{
    public static Cost operator +(Cost left, Cost right) => new(
        left.BusyCpuSeconds + right.BusyCpuSeconds, left.DaemonCpuSeconds + right.DaemonCpuSeconds,
        Math.Max(left.DaemonPeakMebibytes, right.DaemonPeakMebibytes));

    /// <summary>Does some work and says what it cost.</summary>
    /// <param name="daemon">The processes of the daemon.</param>
    /// <param name="work">The work.</param>
    internal static (T Result, Cost Cost) Of<T>(IReadOnlyList<int> daemon, Func<T> work)
    {
        ResidentMemory.ResetPeak(daemon);
        ProcessorTime start = ProcessorTime.Now(daemon);
        T result = work();
        ProcessorTime spent = ProcessorTime.Since(start, daemon);
        return (result, new Cost(spent.SystemSeconds, spent.ProcessSeconds, ResidentMemory.PeakMebibytes(daemon)));
    }
}
