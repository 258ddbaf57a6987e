using LoopDaemon.Benchmark.Machine;

namespace LoopDaemon.Benchmark.Targets;

/// <summary>The kernel's loop device on the raw image.</summary>
internal sealed class KernelLoopConfiguration(string id, string title, bool direct) : Configuration(id, title)
{
    internal override bool IsFuse => false;

    internal override string? Obstacle(Installation installation) =>
        File.Exists("/dev/loop-control") ? null : "there is no /dev/loop-control";

    internal override string Describe(Installation installation, bool place) =>
        $"losetup -f --direct-io={(direct ? "on" : "off")} IMAGE";

    internal override Exposure Expose(string image, bool place, Workspace workspace, Installation installation, CancellationToken cancellation)
    {
        var device = KernelLoopDevice.Attach(image, direct, cancellation);
        return new Exposure(device.Path, device);
    }
}
