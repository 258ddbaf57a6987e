using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

internal static class Requirements
{
    internal static void SkipUnlessRootWithFuse()
    {
        Assert.SkipUnless(Credentials.IsRoot, "needs root");
        Assert.SkipUnless(File.Exists("/dev/fuse"), "needs /dev/fuse");
    }

    internal static void SkipUnlessKernelLoop() =>
        Assert.SkipUnless(File.Exists("/dev/loop-control"), "needs the kernel's loop devices");

    internal static void SkipUnlessInstalled(params string[] programs)
    {
        foreach (string program in programs)
        {
            bool found = (Environment.GetEnvironmentVariable("PATH") + ":/usr/sbin:/sbin").Split(':')
                .Any(directory => File.Exists(Path.Combine(directory, program)));
            Assert.SkipUnless(found, $"needs {program}");
        }
    }

    /// <summary>The kernel's file systems that do not ask for a device or are modules not yet loaded count as well.</summary>
    internal static void SkipUnlessFileSystem(string type) =>
        Assert.SkipUnless(
            File.ReadLines("/proc/filesystems").Any(line => line.EndsWith("\t" + type, StringComparison.Ordinal))
            || Shell.Run("bash", "-c", $"modprobe -q {type}").ExitCode == 0,
            $"this kernel has no {type}");
}
