using System.Globalization;

namespace LoopDaemon.Benchmark.Processes;

/// <summary>What /proc/PID/stat says of a process (proc_pid_stat(5)).</summary>
/// <param name="Id">The process.</param>
/// <param name="Parent">Its parent.</param>
/// <param name="CpuSeconds">Time that its threads have spent on a CPU, in user mode and in the kernel.</param>
internal sealed record ProcessStatus(int Id, int Parent, double CpuSeconds)
{
    /// <summary>USER_HZ: the unit of times in /proc is 1/100 s on all architectures that .NET runs on.</summary>
    internal const double TicksPerSecond = 100;

    /// <summary>Reads a line of /proc/PID/stat.</summary>
    internal static ProcessStatus Parse(string line)
    {
        // 1234 (name) S 1 ...: the name may hold spaces and parentheses, so count from the last one. utime and stime are
        // fields 14 and 15.
        string[] fields = line[(line.LastIndexOf(')') + 2)..].Split(' ');
        long ticks = long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture);
        return new ProcessStatus(
            int.Parse(line[..line.IndexOf(' ', StringComparison.Ordinal)], CultureInfo.InvariantCulture),
            int.Parse(fields[1], CultureInfo.InvariantCulture), ticks / TicksPerSecond);
    }

    internal static IEnumerable<ProcessStatus> All() =>
        Directory.EnumerateDirectories("/proc").Select(Path.GetFileName).Where(name => int.TryParse(name, out _))
            .Select(name => Read(int.Parse(name!, CultureInfo.InvariantCulture))).OfType<ProcessStatus>();

    /// <summary>A process, or null if it has ended.</summary>
    internal static ProcessStatus? Read(int id)
    {
        try
        {
            return Parse(File.ReadAllText($"/proc/{id}/stat"));
        }
        catch (IOException)
        {
            return null;
        }
    }
}
