using LoopDaemon.Benchmark.Machine;
using LoopDaemon.Benchmark.Processes;
using LoopDaemon.Linux;

namespace LoopDaemon.Benchmark.Targets;

/// <summary>QEMU's own FUSE export (qemu-storage-daemon(1)), of the whole raw image.</summary>
internal sealed class QemuStorageDaemon() : Configuration("qemu", Program)
{
    internal const string Program = "qemu-storage-daemon";

    internal override bool IsPeer => true;

    /// <summary>Of version 7.2, under a kernel loop device with direct I/O on, e2fsck finds what mkfs.ext4 has just made
    /// broken nearly every time, and never with direct I/O off.</summary>
    internal override bool MountsDirectly => false;

    internal override string? Obstacle(Installation installation) => Installation.Missing(Program, "qemu-system-common");

    internal override string Describe(Installation installation, bool direct) =>
        string.Join(' ', CommandLine("IMAGE", "FILE", direct));

    internal override Exposure Expose(string image, bool direct, Workspace workspace, Installation installation, CancellationToken cancellation)
    {
        // It mounts on a regular file.
        string file = workspace.NewPath("qemu");
        File.Create(file).Dispose();
        return new Exposure(file, DaemonProcess.Start(
            CommandLine(Escape(image), Escape(file), direct), file, () => MountTable.At(file) is not null, cancellation));
    }

    /// <summary>Without discard=unmap it says that it has zeroed a range, and has not.</summary>
    private static string[] CommandLine(string image, string file, bool direct) =>
    [
        Program,
        "--blockdev", $"driver=file,node-name=image,filename={image},discard=unmap{(direct ? ",cache.direct=on,aio=native" : "")}",
        "--export", $"type=fuse,id=disk,node-name=image,mountpoint={file},writable=on,growable=off,allow-other=off",
    ];

    /// <summary>QEMU's options end at a comma, unless it is doubled.</summary>
    private static string Escape(string path) => path.Replace(",", ",,", StringComparison.Ordinal);
}
