using System.Runtime.InteropServices;
using LoopDaemon.Fuse.Engines;
using LoopDaemon.Fuse.Wire;
using LoopDaemon.Linux;

namespace LoopDaemon.Fuse.Tests;

/// <summary>What is the io_uring engine's alone.</summary>
[Collection(IoUringSwitch.Name)]
public sealed class UringEngineTests
{
    private const ulong OverIoUring = 1UL << 41;

    [Fact]
    public void Requests_come_over_io_uring()
    {
        Requirements.SkipUnlessIoUring();
        var files = new MemoryFileSystem(4096) { Modes = OpenModes.DirectIo };
        string thread = "";
        files.OnRead = (_, _) => thread = Thread.CurrentThread.Name!;
        using var mounted = new MountedFileSystem(files, Engine.Uring);
        Assert.Equal(4096, File.ReadAllBytes(mounted.File("data")).Length);
        Assert.StartsWith("fuse-ring-", thread, StringComparison.Ordinal);
        Assert.NotEqual(0UL, mounted.Negotiation.Flags & OverIoUring);
    }

    [Fact]
    public void Each_running_processor_has_two_rings_and_each_other_an_entry()
    {
        ushort[][] rings = UringEngine.Layout(5, [0, 2]);
        Assert.Equal([[0, 0, 0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0, 0, 3], [2, 2, 2, 2, 2, 2, 2, 2, 4], [2, 2, 2, 2, 2, 2, 2, 2]], rings);
        // Numbers with gaps: the kernel has as many queues as processors, and the first one is for all beyond them.
        Assert.Equal([[0, 0, 0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0, 0]], UringEngine.Layout(2, [0, 2]));
    }

    [Fact]
    public void A_processor_that_comes_up_later_is_served()
    {
        Requirements.SkipUnlessIoUring();
        int[] processors = [.. Processors.Online];
        Assert.SkipUnless(processors.Length > 1, "needs two processors");
        var files = new MemoryFileSystem(1 << 20) { Modes = OpenModes.DirectIo };
        using var mounted = new MountedFileSystem((connection, trouble) =>
            FuseServer.OverIoUring(connection, files, Processors.Possible.Count, [processors[0]], trouble));
        foreach (int processor in processors)
        {
            using var caller = System.Diagnostics.Process.Start("taskset", ["-c", $"{processor}", "cp", mounted.File("data"), "/dev/null"]);
            Assert.True(caller.WaitForExit(TimeSpan.FromSeconds(10)));
            Assert.Equal(0, caller.ExitCode);
        }
        Assert.Empty(mounted.Trouble);
    }

    [Fact]
    public void An_unmount_while_rings_register_ends_the_server()
    {
        Requirements.SkipUnlessIoUring();
        for (int round = 0; round < 100; round++)
        {
            string path = Directory.CreateTempSubdirectory("loopd-fuse-").FullName;
            using FuseMount mount = FuseMount.Mount(path, new FuseMountOptions("hello", AllowOther: true));
            using FuseServer server = FuseServer.OverIoUring(mount.Connection, new HelloFileSystem());
            server.Start();
            Thread.Sleep(TimeSpan.FromMicroseconds(20 * round));
            Assert.Equal(Errno.None, FuseMount.Unmount(path, detach: true));
            Assert.True(SpinWait.SpinUntil(() => server.Completion.IsCompleted, TimeSpan.FromSeconds(10)));
            Assert.True(server.Initialization.IsCompleted);
            Directory.Delete(path);
        }
    }

    [Fact]
    public void Memory_and_descriptors_are_given_back()
    {
        Requirements.SkipUnlessIoUring();
        Serve();
        int before = Descriptors();
        long mapped = MappedKiB();
        for (int round = 0; round < 5; round++)
            Serve();
        Assert.True(SpinWait.SpinUntil(() => Descriptors() <= before, TimeSpan.FromSeconds(10)));
        // One mount takes 18 MiB for each processor.
        Assert.InRange(MappedKiB(), 0, mapped + 40_000);

        static void Serve()
        {
            using var mounted = new MountedFileSystem(new HelloFileSystem(), Engine.Uring);
            Assert.Equal(23, File.ReadAllBytes(mounted.File("hello")).Length);
        }

        static int Descriptors() => Directory.GetFiles("/proc/self/fd").Count(file => new FileInfo(file).LinkTarget is "anon_inode:[io_uring]" or "/dev/fuse");
        static long MappedKiB() => long.Parse(
            File.ReadLines("/proc/self/status").First(line => line.StartsWith("VmLck:", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2],
            System.Globalization.CultureInfo.InvariantCulture);
    }

    [Fact]
    public void Where_the_kernel_has_it_switched_off_it_says_how_to_switch_it_on()
    {
        Requirements.SkipUnlessIoUring();
        IoUringSwitch.TurnOff();
        try
        {
            LinuxException refused = Assert.Throws<LinuxException>(FuseServer.RequireIoUring);
            Assert.Contains("echo 1 > /sys/module/fuse/parameters/enable_uring", refused.Message, StringComparison.Ordinal);
            Assert.Contains("fuse.enable_uring=1", refused.Message, StringComparison.Ordinal);
            // And whoever does not ask finds out when the kernel does not offer it.
            refused = Assert.Throws<LinuxException>(() => new MountedFileSystem(new HelloFileSystem(), Engine.Uring));
            Assert.Contains("does not offer FUSE over io_uring", refused.Message, StringComparison.Ordinal);
        }
        finally
        {
            IoUringSwitch.TurnOn();
        }
    }

    [Theory]
    [InlineData(Errno.EPERM, "seccomp")]
    [InlineData(Errno.ENOSYS, "seccomp")]
    [InlineData(Errno.ENOMEM, "RLIMIT_MEMLOCK")]
    [InlineData(Errno.EINVAL, "Invalid argument")]
    public void A_refused_ring_is_explained(Errno error, string word) =>
        Assert.Contains(word, UringEngine.Refusal(error).Message, StringComparison.Ordinal);

    /// <summary>The offsets of linux/fuse.h 7.42, newer than some machines' headers.</summary>
    [Fact]
    public void Structures_are_the_kernels()
    {
        Assert.Equal((288, 24, 32), (Marshal.SizeOf<UringRequestHeader>(), Marshal.SizeOf<UringCommandIn>(), Marshal.SizeOf<UringEntryInOut>()));
        Assert.Equal(128, (int)Marshal.OffsetOf<UringRequestHeader>(nameof(UringRequestHeader.Arguments)));
        Assert.Equal(256, (int)Marshal.OffsetOf<UringRequestHeader>(nameof(UringRequestHeader.Entry)));
        Assert.Equal(8, (int)Marshal.OffsetOf<UringCommandIn>(nameof(UringCommandIn.CommitId)));
        Assert.Equal(16, (int)Marshal.OffsetOf<UringCommandIn>(nameof(UringCommandIn.QueueId)));
        Assert.Equal(16, (int)Marshal.OffsetOf<UringEntryInOut>(nameof(UringEntryInOut.PayloadLength)));
    }
}
