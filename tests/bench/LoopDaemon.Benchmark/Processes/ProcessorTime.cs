using System.Globalization;

namespace LoopDaemon.Benchmark.Processes;

/// <summary>CPU seconds since the system started: of the whole system, and of some processes.</summary>
internal readonly record struct ProcessorTime(double SystemSeconds, double ProcessSeconds)
{
    internal static ProcessorTime Now(IEnumerable<int> processes) => new(
        ParseBusy(File.ReadLines("/proc/stat").First()), processes.Sum(id => ProcessStatus.Read(id)?.CpuSeconds ?? 0));

    internal static ProcessorTime Since(ProcessorTime start, IEnumerable<int> processes)
    {
        ProcessorTime end = Now(processes);
        return new ProcessorTime(end.SystemSeconds - start.SystemSeconds, end.ProcessSeconds - start.ProcessSeconds);
    }

    /// <summary>Reads the first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal and guest times.
    /// Waiting is not work, stolen time is another machine's, and guest time is in user time already.</summary>
    internal static double ParseBusy(string line)
    {
        long[] ticks = [.. line.Split(' ', StringSplitOptions.RemoveEmptyEntries).Skip(1).Select(text => long.Parse(text, CultureInfo.InvariantCulture))];
        return (ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]) / ProcessStatus.TicksPerSecond;
    }
}
