using LoopDaemon.Linux;

namespace LoopDaemon.Devices.Tests;

/// <summary>A loop device of the kernel on a file.</summary>
internal sealed class KernelLoop : IDisposable
{
    internal KernelLoop(string file, int sectorBytes)
    {
        Assert.SkipUnless(Credentials.IsRoot, "needs root");
        Assert.SkipUnless(File.Exists("/dev/loop-control"), "needs the kernel's loop devices");
        Path = Shell.Run("losetup", "", "--find", "--show", "--sector-size", $"{sectorBytes}", file).Trim();
    }

    internal string Path { get; }

    public void Dispose() => Shell.Run("losetup", "", "--detach", Path);
}
