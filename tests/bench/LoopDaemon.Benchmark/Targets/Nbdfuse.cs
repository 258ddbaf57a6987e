using LoopDaemon.Benchmark.Machine;
using LoopDaemon.Benchmark.Processes;

namespace LoopDaemon.Benchmark.Targets;

/// <summary>nbdfuse(1) on nbdkit's file plug-in, which are two processes with a socket between them.</summary>
internal sealed class Nbdfuse() : Configuration("nbdfuse", "nbdfuse, nbdkit file")
{
    internal override bool IsPeer => true;

    internal override string? Obstacle(Installation installation) =>
        Installation.Missing("nbdfuse", "libnbd-bin") ?? Installation.Missing("nbdkit", "nbdkit");

    internal override string Describe(Installation installation, bool direct) => string.Join(' ', CommandLine("FILE", "IMAGE"));

    internal override Exposure Expose(string image, bool direct, Workspace workspace, Installation installation, CancellationToken cancellation)
    {
        string mount = workspace.NewFolder("nbdfuse");
        string file = Path.Combine(mount, "disk");
        return new Exposure(file, DaemonProcess.Start(CommandLine(file, image), mount, () => File.Exists(file), cancellation));
    }

    /// <summary>The plug-in has no O_DIRECT: on a disk it works through the page cache.</summary>
    private static string[] CommandLine(string file, string image) => ["nbdfuse", file, "--command", "nbdkit", "-s", "file", image];
}
