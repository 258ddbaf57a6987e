using LoopDaemon.Benchmark.Processes;

namespace LoopDaemon.Benchmark.Targets;

/// <summary>A device of the kernel's loop driver, bound with losetup.</summary>
internal sealed class KernelLoopDevice : IDisposable
{
    private KernelLoopDevice(string path) => Path = path;

    internal string Path { get; }

    private string State => $"/sys/block/{System.IO.Path.GetFileName(Path)}/loop";

    internal static KernelLoopDevice Attach(string file, bool direct, CancellationToken cancellation)
    {
        string path = Command.Run("losetup", ["-f", "--show", $"--direct-io={(direct ? "on" : "off")}", file], cancellation).Trim();
        var device = new KernelLoopDevice(path);
        // Where the backing file takes no direct I/O, losetup warns and goes on without it.
        if (!direct || File.ReadAllText(device.State + "/dio").Trim() == "1")
            return device;
        device.Dispose();
        throw new MeasurementException("the file takes no direct I/O, so a kernel loop device on it would be another thing");
    }

    public void Dispose()
    {
        try
        {
            Command.Run("losetup", ["-d", Path], CancellationToken.None);
        }
        catch (MeasurementException e)
        {
            Console.Error.WriteLine(e.Message);
        }
        // The device goes when its last user does; whoever serves the file below must not be asked to end before.
        for (int i = 0; i < 250 && Directory.Exists(State); i++)
            Thread.Sleep(20);
    }
}
