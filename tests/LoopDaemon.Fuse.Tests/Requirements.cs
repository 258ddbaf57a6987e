using LoopDaemon.Linux;

namespace LoopDaemon.Fuse.Tests;

internal static class Requirements
{
    /// <summary>Mounting with mount(2) needs root and /dev/fuse.</summary>
    internal static void SkipUnlessRootWithFuse()
    {
        Assert.SkipUnless(Credentials.IsRoot, "needs root to mount");
        Assert.SkipUnless(File.Exists("/dev/fuse"), "needs /dev/fuse");
    }

    /// <summary>Switches FUSE over io_uring on; it must be there and allowed.</summary>
    internal static void SkipUnlessIoUring()
    {
        SkipUnlessRootWithFuse();
        IoUringSwitch.TurnOn();
        try
        {
            FuseServer.RequireIoUring();
        }
        catch (LinuxException refused)
        {
            Assert.Skip($"needs FUSE over io_uring: {refused.Message}");
        }
    }
}
