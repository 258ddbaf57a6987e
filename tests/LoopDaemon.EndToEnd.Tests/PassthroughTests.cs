using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>Devices whose backing file the kernel reads and writes itself.</summary>
public sealed class PassthroughTests : IClassFixture<SharedLoopd>, IDisposable
{
    private const int Bytes = 1 << 20;

    private readonly Loopd _loopd;
    private readonly ControlClient _client;

    public PassthroughTests(SharedLoopd shared)
    {
        _loopd = shared.Fresh();
        _loopd.SkipUnlessPassthrough();
        _client = _loopd.Connect();
    }

    public void Dispose() => _client?.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_data_never_comes_to_the_daemon(bool direct)
    {
        byte[] data = File.ReadAllBytes(_loopd.MakeFile("data", Bytes));
        string image = _loopd.MakeSparseFile("disk.img", Bytes), device = _loopd.Bind(image);
        Assert.Equal(new PassthroughStatus(Active: false, BytesPastEnd: 0), Passthrough());
        using (PageMemory memory = PageMemory.Allocate(Bytes))
        using (FileDescriptor file = Open(device, direct))
        {
            Assert.Equal(new PassthroughStatus(Active: true, BytesPastEnd: 0), Passthrough());
            data.CopyTo(memory.Span(0, Bytes));
            Assert.Equal(Errno.None, file.WriteAt(0, memory.Span(0, Bytes)));
            memory.Span(0, Bytes).Clear();
            Assert.Equal(Errno.None, file.ReadAt(0, memory.Span(0, Bytes), out int count));
            Assert.Equal(Bytes, count);
            Assert.True(memory.Span(0, Bytes).SequenceEqual(data));
            Assert.Equal(Errno.None, file.Synchronize(dataOnly: false));
            Assert.Equal(Errno.None, file.Allocate(AllocateMode.PunchHole | AllocateMode.KeepSize, 0, 4096));
            data.AsSpan(0, 4096).Clear();
            Assert.Equal(Errno.None, file.Seek(SeekTarget.Hole, 4096, out long hole));
            Assert.Equal(Bytes, hole);
        }
        Assert.Equal(new TrafficStatus(0, 0, 0, 0, 0), _client.GetStatus(0).Traffic);
        Loopd.WaitUntil(() => !Passthrough().Active, "the last close is told");
        Assert.Equal(data, File.ReadAllBytes(image));
        Assert.Equal(data, File.ReadAllBytes(device));
    }

    [Theory]
    [InlineData("goes through transfer xor", "-e", "xor:key-file=KEY")]
    [InlineData("shows 1048064 of the 1048576 bytes", "-o", "512")]
    [InlineData("shows 4096 of the 1048576 bytes", "--sizelimit", "4096")]
    [InlineData("uses direct I/O", "--direct-io=on")]
    [InlineData("is bound with --passthrough=off", "--passthrough=off")]
    public void What_is_not_the_whole_file_is_served_by_the_daemon(string obstacle, params string[] arguments)
    {
        string key = _loopd.MakeFile("key", 32), image = _loopd.MakeFile("disk.img", Bytes);
        arguments = [.. arguments.Select(argument => argument.Replace("KEY", key, StringComparison.Ordinal))];
        string device = _loopd.Bind([.. arguments, image]);
        Assert.Contains(obstacle, Passthrough().Obstacle, StringComparison.Ordinal);
        Assert.Contains($"by the daemon: the device {Passthrough().Obstacle}", _loopd.Control("info", device).Output, StringComparison.Ordinal);
        using (FileDescriptor file = Open(device, direct: false))
        {
            Assert.False(Passthrough().Active);
            Assert.Equal(Errno.None, file.ReadAt(0, new byte[4096], out _));
        }
        Assert.Equal(1, _client.GetStatus(0).Traffic.Reads);
        if (arguments[^1] == "--passthrough=off")
            return;

        ShellResult refused = _loopd.Control(["-f", "--passthrough=on", .. arguments, image]);
        Assert.Equal(1, refused.ExitCode);
        Assert.Contains($"passthrough cannot be: the device {obstacle}", refused.Error, StringComparison.Ordinal);
        Assert.Single(_client.List());
    }

    [Fact]
    public void A_file_that_ends_within_a_sector_is_served_by_the_daemon()
    {
        string device = _loopd.Bind(_loopd.MakeFile("disk.img", Bytes + 100));
        Assert.Contains($"shows {Bytes} of the {Bytes + 100} bytes", Passthrough().Obstacle, StringComparison.Ordinal);
        Assert.Equal(Bytes, File.ReadAllBytes(device).Length);
        _loopd.Bind(_loopd.MakeFile("empty.img", 0));
        Assert.Contains("is empty", _client.GetStatus(1).Passthrough.Obstacle, StringComparison.Ordinal);
    }

    [Fact]
    public void A_block_device_is_served_by_the_daemon()
    {
        Requirements.SkipUnlessKernelLoop();
        string image = _loopd.MakeFile("disk.img", Bytes);
        using FileDescriptor kernelLoop = KernelLoop.Attach(image, readOnly: false, out string path);
        string device = _loopd.Bind(path);
        Assert.Contains($"is on a block device ({path})", Passthrough().Obstacle, StringComparison.Ordinal);
        Assert.Equal(File.ReadAllBytes(image), File.ReadAllBytes(device));
        _client.Clear(0);
        Loopd.WaitUntil(() => _client.List().Count == 0, "the device is cleared");
    }

    /// <summary>The way is chosen by the first opener, and stays until the last has closed.</summary>
    [Fact]
    public void It_changes_only_while_the_device_is_closed()
    {
        byte[] data = File.ReadAllBytes(_loopd.MakeFile("data", 4096));
        string image = _loopd.MakeFile("disk.img", Bytes), device = _loopd.Bind(image);
        using (Open(device, direct: false, OpenFlags.Truncate))
        using (FileDescriptor other = Open(device, direct: false))
        {
            // Some file systems would obey the O_TRUNC that the kernel hands on; the file is whole all the same.
            Assert.False(Passthrough().Active);
            Assert.Equal(Errno.None, other.WriteAt(0, data));
        }
        WaitForLastClose();
        using (FileDescriptor file = Open(device, direct: false))
        {
            Assert.True(Passthrough().Active);
            Assert.Equal(Errno.EBUSY, SystemCall.Open(device, OpenFlags.ReadWrite | OpenFlags.Truncate));
            byte[] seen = new byte[4096];
            Assert.Equal(Errno.None, file.ReadAt(0, seen, out _));
            Assert.Equal(data, seen);
            _client.SetDirectIo(0, true);
            Assert.True(Passthrough().Active);
            Assert.Contains("direct I/O", Passthrough().Obstacle, StringComparison.Ordinal);
        }
        WaitForLastClose();
        using (Open(device, direct: false))
            Assert.False(Passthrough().Active);
        _client.SetDirectIo(0, false);
        WaitForLastClose();
        _client.SetStatus(0, new StatusChange { Offset = 512 });
        Assert.Equal(File.ReadAllBytes(image)[512..], File.ReadAllBytes(device));
        WaitForLastClose();
        _client.SetStatus(0, new StatusChange { Offset = 0 });
        using (Open(device, direct: true))
            Assert.True(Passthrough().Active);
        Assert.Equal(Bytes, File.ReadAllBytes(image).Length);
    }

    /// <summary>What the page cache held from before is not what the file holds.</summary>
    [Fact]
    public void Who_comes_after_it_sees_what_was_written()
    {
        string image = _loopd.MakeFile("disk.img", Bytes), device = _loopd.Bind(image);
        for (byte round = 1; round < 20; round++)
        {
            byte[] block = new byte[8192];
            block.AsSpan().Fill(round);
            Assert.Equal(Errno.None, WriteOnce(device, block));
            WaitForLastClose();
            // With O_TRUNC through the page cache.
            using (FileDescriptor cached = Open(device, direct: false, OpenFlags.Truncate))
            {
                byte[] seen = new byte[block.Length];
                Assert.Equal(Errno.None, cached.ReadAt(0, seen, out int count));
                Assert.Equal(block.Length, count);
                Assert.Equal(block, seen);
            }
            WaitForLastClose();
        }
    }

    [Fact]
    public void A_write_behind_the_end_is_noticed_and_can_be_forbidden()
    {
        string image = _loopd.MakeFile("disk.img", Bytes), device = _loopd.Bind(image);
        using (FileDescriptor file = Open(device, direct: false))
            Assert.Equal(Errno.None, file.WriteAt(Bytes, new byte[1000]));
        Loopd.WaitUntil(() => _loopd.Log.Contains("loop0: 1000 bytes are behind the end", StringComparison.Ordinal), "the log tells of the growth");
        Assert.Contains($"truncate -s {Bytes}", _loopd.Log, StringComparison.Ordinal);
        Assert.Equal(1000, Passthrough().BytesPastEnd);
        Assert.Contains("the backing file goes on for 1000 bytes behind the end", _loopd.Control("info", device).Output, StringComparison.Ordinal);
        Assert.Equal(Bytes, _client.GetStatus(0).Size);

        using (var whole = new FileStream(image, FileMode.Open))
            whole.SetLength(Bytes);
        Assert.Equal(0, Passthrough().BytesPastEnd);
        Assert.True(_client.Clear(0).Deferred is false);
        device = _loopd.Bind("--passthrough=off", image);
        using (FileDescriptor file = Open(device, direct: false))
            Assert.Equal(Errno.ENOSPC, file.WriteAt(Bytes, new byte[1000]));
        Assert.Equal(Bytes, new FileInfo(image).Length);
    }

    [Fact]
    public void A_new_size_is_seen_through_a_file_that_is_open()
    {
        string image = _loopd.MakeFile("disk.img", Bytes), device = _loopd.Bind("--passthrough=on", image);
        byte[] data = File.ReadAllBytes(_loopd.MakeFile("data", 3 * Bytes)), seen = new byte[3 * Bytes];
        using FileDescriptor open = Open(device, direct: false);
        File.WriteAllBytes(image, data);
        Assert.Equal(Bytes, new FileInfo(device).Length);
        Assert.Equal(3 * Bytes, _client.SetCapacity(0).Size);
        Assert.Equal(3 * Bytes, new FileInfo(device).Length);
        Assert.Equal(Errno.None, open.ReadAt(0, seen, out int count));
        Assert.Equal(data, seen[..count]);
        using (FileDescriptor file = FileDescriptor.Open(image, OpenFlags.ReadWrite))
            Assert.Equal(Errno.None, file.SetLength(2 * Bytes));
        Assert.Equal(2 * Bytes, _client.SetCapacity(0).Size);
        Assert.Equal(Errno.None, open.ReadAt(0, seen, out count));
        Assert.Equal(2 * Bytes, count);
        Assert.True(Passthrough().Active);
    }

    [Fact]
    public void A_read_only_device_is_passed_through_and_stays_read_only()
    {
        string image = _loopd.MakeFile("disk.img", Bytes), device = _loopd.Bind("-r", image);
        using FileDescriptor file = Open(device, direct: false, OpenFlags.ReadOnly);
        Assert.True(Passthrough().Active);
        Assert.Equal(Errno.EROFS, SystemCall.Open(device, OpenFlags.ReadWrite));
        Assert.NotEqual(Errno.None, file.WriteAt(0, new byte[1]));
        byte[] seen = new byte[Bytes];
        Assert.Equal(Errno.None, file.ReadAt(0, seen, out _));
        Assert.Equal(File.ReadAllBytes(image), seen);

        // The kernel goes on with the file that it has.
        using FileDescriptor other = FileDescriptor.Open(_loopd.MakeFile("other.img", Bytes, seed: 2), OpenFlags.ReadOnly);
        ControlException refused = Assert.Throws<ControlException>(() => _client.ChangeBackingFile(0, other));
        Assert.Equal(Errno.EBUSY, refused.Errno);
        Assert.Contains("--passthrough=off", refused.Message, StringComparison.Ordinal);
        file.Dispose();
        WaitForLastClose();
        _client.ChangeBackingFile(0, other);
        Assert.Equal(File.ReadAllBytes(_loopd.File("other.img")), File.ReadAllBytes(device));
    }

    [Fact]
    public void A_file_on_a_stacked_file_system_is_served_by_the_daemon()
    {
        Requirements.SkipUnlessFileSystem("overlay");
        foreach (string folder in new[] { "lower", "upper", "work", "merged" })
            Directory.CreateDirectory(_loopd.File(folder));
        string image = Path.Combine("merged", "disk.img");
        Shell.Run("mount", "-t", "overlay", "none", "-o",
            $"lowerdir={_loopd.File("lower")},upperdir={_loopd.File("upper")},workdir={_loopd.File("work")}", _loopd.File("merged")).Succeeded();
        try
        {
            string device = _loopd.Bind(_loopd.MakeFile(image, Bytes));
            for (int i = 0; i < 3; i++)
                Assert.Equal(File.ReadAllBytes(_loopd.File(image)), File.ReadAllBytes(device));
            Assert.Contains("stacked file system", Passthrough().Obstacle, StringComparison.Ordinal);
            Loopd.WaitUntil(() => _loopd.Log.Contains("served without passthrough", StringComparison.Ordinal), "the log tells");
            Assert.Single(_loopd.Log.Split('\n'), line => line.Contains("served without passthrough", StringComparison.Ordinal));
            Assert.Contains("stacked file system", _loopd.Control("-f", "--passthrough=on", _loopd.File(image)).Error, StringComparison.Ordinal);
            Assert.Single(_client.List());
            _client.Clear(0);
            Loopd.WaitUntil(() => _client.List().Count == 0, "the device is cleared");
        }
        finally
        {
            Shell.Run("umount", _loopd.File("merged")).Succeeded();
        }
    }

    [Fact]
    public void A_daemon_without_it_serves_every_device_itself()
    {
        using var loopd = new Loopd("--passthrough", "off");
        string image = loopd.MakeFile("disk.img", Bytes);
        Assert.Equal(File.ReadAllBytes(image), File.ReadAllBytes(loopd.Bind(image)));
        loopd.Bind("--passthrough=on", image);
        Assert.Equal(["is bound with --passthrough=off", null], loopd.List().Select(device => device.Passthrough.Obstacle));
    }

    /// <summary>fio on the exposed file and on a kernel loop device, and a file system, at the kernel's hands alone.</summary>
    [Fact]
    public void What_is_verified_and_mounted_there_is_in_the_file()
    {
        Requirements.SkipUnlessKernelLoop();
        Requirements.SkipUnlessFileSystem("ext4");
        Requirements.SkipUnlessInstalled("fio", "mkfs.ext4", "e2fsck");
        string image = _loopd.MakeSparseFile("disk.img", 64 << 20), device = _loopd.Bind("--passthrough=on", image);
        Verify(device);
        using (FileDescriptor kernelLoop = KernelLoop.Attach(device, readOnly: false, out string path))
        {
            Verify(path);
            Shell.Run("mkfs.ext4", "-q", path).Succeeded();
            using var directory = new MountDirectory(_loopd);
            Shell.Run("mount", path, directory.Path).Succeeded();
            _loopd.MakeFile("data", 8 << 20, seed: 3);
            File.Copy(_loopd.File("data"), Path.Combine(directory.Path, "data"));
        }
        WaitForLastClose();
        Shell.Run("e2fsck", "-fn", image).Succeeded();
        Assert.Equal(0, _client.GetStatus(0).Traffic.Writes);
        Assert.Equal(64 << 20, new FileInfo(image).Length);
    }

    private static void Verify(string path) => Shell.Run("fio", "--name=verify", $"--filename={path}", "--rw=randwrite", "--bsrange=512-64k",
        "--blockalign=512", "--size=32m", "--io_size=32m", "--verify=crc32c", "--verify_fatal=1", "--verify_state_save=0", "--do_verify=1", "--direct=1",
        "--ioengine=io_uring", "--iodepth=16").Succeeded();

    private static Errno WriteOnce(string device, byte[] data)
    {
        using FileDescriptor file = Open(device, direct: false);
        return file.WriteAt(0, data);
    }

    private static FileDescriptor Open(string device, bool direct, OpenFlags flags = OpenFlags.ReadWrite) =>
        FileDescriptor.Open(device, flags | (flags == OpenFlags.Truncate ? OpenFlags.ReadWrite : 0) | (direct ? FileDescriptor.Direct : 0));

    private void WaitForLastClose() => Loopd.WaitUntil(() => _client.GetStatus(0).Openers == 0, "the last close is told");

    private PassthroughStatus Passthrough() => _client.GetStatus(0).Passthrough;
}
