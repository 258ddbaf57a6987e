using System.Globalization;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>A backing file that grows or shrinks under a device, under a kernel loop device on it, under a file system on that.</summary>
public sealed class CapacityTests : IClassFixture<SharedLoopd>, IDisposable
{
    private readonly Loopd _loopd;
    private readonly ControlClient _client;

    public CapacityTests(SharedLoopd shared)
    {
        _loopd = shared.Fresh();
        _client = _loopd.Connect();
    }

    public void Dispose() => _client?.Dispose();

    [Theory]
    [InlineData("identity")]
    [InlineData("xor")]
    public void The_new_size_and_data_are_seen_through_a_file_that_was_open_before(string stackName)
    {
        TransferStack stack = TransferStack.Make(_loopd, stackName);
        byte[] data = File.ReadAllBytes(_loopd.MakeFile("data", 3 << 20));
        string image = _loopd.MakeFile("disk.img", stack.Encode(data.AsSpan(0, (1 << 20) + 1000)));
        string device = _loopd.Bind([.. stack.Arguments, image]);
        using FileDescriptor open = FileDescriptor.Open(device, OpenFlags.ReadWrite);
        byte[] seen = new byte[3 << 20];
        Assert.Equal(Errno.None, open.ReadAt(0, seen, out int count));
        Assert.Equal((1 << 20) + 512, count);

        File.WriteAllBytes(image, stack.Encode(data));
        Assert.Equal((1 << 20) + 512, new FileInfo(device).Length);
        Assert.Equal(3 << 20, _client.SetCapacity(0).Size);
        Assert.Equal(Errno.None, open.ReadAt(0, seen, out count));
        Assert.Equal(data, seen);

        using (FileDescriptor file = FileDescriptor.Open(image, OpenFlags.ReadWrite))
            Assert.Equal(Errno.None, file.SetLength(2 << 20));
        Assert.Equal(2 << 20, _client.SetCapacity(0).Size);
        Assert.Equal(Errno.None, open.ReadAt(0, seen, out count));
        Assert.Equal(2 << 20, count);
        Assert.Equal(Errno.ENOSPC, open.WriteAt(2 << 20, new byte[512]));
        Assert.Equal(2 << 20, new FileInfo(image).Length);
    }

    [Fact]
    public void Offset_and_size_limit_go_on_to_hold()
    {
        string image = _loopd.MakeFile("disk.img", 1 << 20);
        _loopd.Bind("-o", "4096", "--sizelimit", "2M", image);
        using (FileDescriptor file = FileDescriptor.Open(image, OpenFlags.ReadWrite))
            Assert.Equal(Errno.None, file.SetLength(8 << 20));
        Assert.Equal(2 << 20, _client.SetCapacity(0).Size);
        using (FileDescriptor file = FileDescriptor.Open(image, OpenFlags.ReadWrite))
            Assert.Equal(Errno.None, file.SetLength(1024));
        Assert.Equal(0, _client.SetCapacity(0).Size);
    }

    [Theory]
    [InlineData("on")]
    [InlineData("off")]
    public void A_kernel_loop_device_on_top_sees_it(string directIo)
    {
        Requirements.SkipUnlessKernelLoop();
        string image = _loopd.MakeFile("disk.img", 4 << 20);
        string device = _loopd.Bind(image);
        string kernel = Shell.Run("losetup", "-f", "--show", $"--direct-io={directIo}", device).Succeeded().Output.Trim();
        try
        {
            foreach (int megabytes in (int[])[16, 2, 7])
            {
                using (FileDescriptor file = FileDescriptor.Open(image, OpenFlags.ReadWrite))
                    Assert.Equal(Errno.None, file.SetLength((long)megabytes << 20));
                _loopd.Control("-c", "loop0").Succeeded();
                Shell.Run("losetup", "-c", kernel).Succeeded();
                Assert.Equal((long)megabytes << 20, long.Parse(
                    Shell.Run("blockdev", "--getsize64", kernel).Succeeded().Output, CultureInfo.InvariantCulture));
                Shell.Run("cmp", image, kernel).Succeeded();
            }
        }
        finally
        {
            Shell.Run("losetup", "-d", kernel).Succeeded();
        }
    }

    [Fact]
    public void A_mounted_file_system_grows()
    {
        Requirements.SkipUnlessKernelLoop();
        Requirements.SkipUnlessFileSystem("btrfs");
        Requirements.SkipUnlessInstalled("mkfs.btrfs");
        TransferStack stack = TransferStack.Make(_loopd, "xor");
        string image = _loopd.MakeSparseFile("disk.img", 128 << 20);
        string device = _loopd.Bind([.. stack.Arguments, image]);
        using var kernel = new KernelLoopDevice(device, "--direct-io=on");
        using var directory = new MountDirectory(_loopd);
        Shell.Run("mkfs.btrfs", "-q", kernel.Path).Succeeded();
        Shell.Run("mount", kernel.Path, directory.Path).Succeeded();
        byte[] data = File.ReadAllBytes(_loopd.MakeFile("data", 200 << 20));
        using (FileDescriptor file = FileDescriptor.Open(image, OpenFlags.ReadWrite))
            Assert.Equal(Errno.None, file.SetLength(400L << 20));
        _loopd.Control("-c", device).Succeeded();
        Shell.Run("losetup", "-c", kernel.Path).Succeeded();
        Shell.Run("btrfs", "filesystem", "resize", "max", directory.Path).Succeeded();
        File.WriteAllBytes(Path.Combine(directory.Path, "data"), data);
        directory.Unmount();
        Shell.Run("mount", kernel.Path, directory.Path).Succeeded();
        Assert.Equal(data, File.ReadAllBytes(Path.Combine(directory.Path, "data")));
        directory.Unmount();
        Shell.Run("btrfs", "check", kernel.Path).Succeeded();
    }
}
