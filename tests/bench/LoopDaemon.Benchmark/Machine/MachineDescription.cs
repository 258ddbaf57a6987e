using System.Runtime.InteropServices;
using LoopDaemon.Benchmark.Processes;
using LoopDaemon.Benchmark.Results;

namespace LoopDaemon.Benchmark.Machine;

/// <summary>What somebody must know of the machine and the programs to compare these figures with his own.</summary>
internal static class MachineDescription
{
    internal static IReadOnlyList<MachineProperty> Read(CancellationToken cancellation)
    {
        string Version(string program, params string[] arguments) => FirstLine(program, arguments, cancellation);
        return
        [
            new("processor", $"{Field("/proc/cpuinfo", "model name") ?? RuntimeInformation.ProcessArchitecture.ToString()}, {Environment.ProcessorCount} CPUs"),
            new("memory", $"{long.Parse(Field("/proc/meminfo", "MemTotal")!.Split(' ')[0], null) / (1 << 20)} GiB"),
            new("kernel", $"Linux {File.ReadAllText("/proc/sys/kernel/osrelease").Trim()}"),
            new("system", Field("/etc/os-release", "PRETTY_NAME", '=')?.Trim('"') ?? "unknown"),
            new("load before", string.Join(' ', File.ReadAllText("/proc/loadavg").Split(' ').Take(3))),
            new("LoopDaemon", Version("git", "describe", "--always", "--dirty")),
            new(".NET", RuntimeInformation.FrameworkDescription),
            new("fio", Version("fio", "--version")),
            new("losetup", Version("losetup", "--version")),
            new("qemu-storage-daemon", Version("qemu-storage-daemon", "--version")),
            new("nbdfuse", Version("nbdfuse", "--version")),
            new("nbdkit", Version("nbdkit", "--version")),
        ];
    }

    private static string? Field(string file, string name, char separator = ':') =>
        File.ReadLines(file).Select(line => line.Split(separator, 2, StringSplitOptions.TrimEntries))
            .FirstOrDefault(parts => parts.Length == 2 && parts[0] == name)?[1];

    private static string FirstLine(string program, string[] arguments, CancellationToken cancellation)
    {
        try
        {
            return Command.Find(program) is null ? "not installed" : Command.Run(program, arguments, cancellation).Split('\n')[0];
        }
        catch (MeasurementException)
        {
            return "unknown";
        }
    }
}
