using System.Globalization;

namespace LoopDaemon.Benchmark.Processes;

/// <summary>The most memory that processes had in use (VmHWM of proc_pid_status(5)).</summary>
internal static class ResidentMemory
{
    /// <summary>Begins anew: the peak is what is in use now.</summary>
    internal static void ResetPeak(IEnumerable<int> processes)
    {
        // proc_pid_clear_refs(5): 5 resets the peak.
        foreach (int id in processes)
            IgnoringItsEnd(() => { File.WriteAllText($"/proc/{id}/clear_refs", "5"); return 0; });
    }

    /// <summary>The processes' peaks since the last reset, added up, in MiB.</summary>
    internal static double PeakMebibytes(IEnumerable<int> processes) =>
        processes.Sum(id => IgnoringItsEnd(() => ParsePeak(File.ReadLines($"/proc/{id}/status"))));

    internal static double ParsePeak(IEnumerable<string> status)
    {
        string? line = status.FirstOrDefault(line => line.StartsWith("VmHWM:", StringComparison.Ordinal));
        return line is null ? 0 : double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture) / 1024;
    }

    private static double IgnoringItsEnd(Func<double> look)
    {
        try
        {
            return look();
        }
        catch (IOException)
        {
            return 0;
        }
    }
}
