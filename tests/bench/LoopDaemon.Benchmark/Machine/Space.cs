using System.Globalization;
using LoopDaemon.Benchmark.Jobs;

namespace LoopDaemon.Benchmark.Machine;

/// <summary>How much room the images take, and whether there is as much.</summary>
internal sealed class Space(BenchmarkOptions options, int configurations)
{
    private const long Slack = 256 << 20;

    /// <summary>Most that lies at one place at a time.</summary>
    internal long PlaceBytes => Math.Max(options.ImageBytes * Math.Max(configurations, 2), FileSystemPhase.ImageBytes(options.TreeBytes)) + Slack;

    /// <summary>Most that lies in memory at a time: the images, if any, and the archive of the tree with its headers.</summary>
    internal long MemoryBytes => PlaceBytes + (options.TreeBytes * 5 / 4);

    /// <exception cref="MeasurementException">There is less memory.</exception>
    internal void CheckMemory()
    {
        string line = File.ReadLines("/proc/meminfo").First(line => line.StartsWith("MemAvailable:", StringComparison.Ordinal));
        long available = long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) << 10;
        if (available < MemoryBytes)
            throw new MeasurementException($"the images take {MemoryBytes >> 20} MiB of memory, and {available >> 20} MiB are free; choose fewer configurations or smaller images");
    }

    /// <exception cref="MeasurementException">There is less room in the folder.</exception>
    internal void CheckDisk(string folder)
    {
        long available = new DriveInfo(folder).AvailableFreeSpace;
        if (available < PlaceBytes)
            throw new MeasurementException($"the images take {PlaceBytes >> 20} MiB, and {folder} has {available >> 20} MiB free; choose fewer configurations or smaller images");
    }
}
