using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>The errors of the loop driver's ioctls, row by row (drivers/block/loop.c), from a daemon with real files.</summary>
public sealed class ErrnoTableTests : IClassFixture<SharedLoopd>, IDisposable
{
    private const int Sector = 512;
    private const int Missing = 4711;

    private readonly Loopd _loopd;
    private readonly ControlClient _client;
    private readonly string _image;

    public ErrnoTableTests(SharedLoopd shared)
    {
        _loopd = shared.Fresh();
        _client = _loopd.Connect();
        _image = _loopd.MakeFile("disk.img", 1 << 20);
    }

    public void Dispose() => _client.Dispose();

    [Theory]
    [InlineData(OpenFlags.PathOnly)]
    [InlineData(OpenFlags.WriteOnly)]
    public void CONFIGURE_with_a_bad_descriptor_is_EBADF(OpenFlags flags) =>
        Fails(Errno.EBADF, () => _client.Configure(_image, flags: flags));

    [Fact]
    public void CONFIGURE_of_a_bound_device_is_EBUSY()
    {
        _client.Configure(_image, OnDevice(3));
        Fails(Errno.EBUSY, () => _client.Configure(_image, OnDevice(3)), _image);
    }

    [Fact]
    public void CONFIGURE_with_a_device_of_the_daemon_itself_is_EBADF()
    {
        _client.Configure(_image);
        Fails(Errno.EBADF, () => _client.Configure(_loopd.Device(0)), _loopd.Device(0));
    }

    [Theory]
    [InlineData("/", OpenFlags.ReadOnly)]
    [InlineData("/dev/null", OpenFlags.ReadWrite)]
    public void CONFIGURE_with_neither_a_file_nor_a_block_device_is_EINVAL(string path, OpenFlags flags) =>
        Fails(Errno.EINVAL, () => _client.Configure(path, flags: flags), path);

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(256)]
    [InlineData(513)]
    [InlineData(1536)]
    [InlineData(8192)]
    [InlineData(int.MaxValue)]
    public void CONFIGURE_with_a_block_size_that_is_none_is_EINVAL(int bytes) =>
        Fails(Errno.EINVAL, () => _client.Configure(_image, request => request with { SectorSize = bytes }), $"{bytes}");

    [Fact]
    public void CONFIGURE_with_an_offset_or_limit_that_is_none_is_refused()
    {
        Fails(Errno.EINVAL, () => _client.Configure(_image, request => request with { Offset = -1 }), "offset");
        Fails(Errno.EINVAL, () => _client.Configure(_image, request => request with { SizeLimit = -1 }), "sizeLimit");
        Assert.Equal(0, _client.Configure(_image, request => request with { Offset = long.MaxValue }).Size);
    }

    [Fact]
    public void CONFIGURE_with_a_descriptor_that_cannot_write_or_with_the_flag_is_read_only()
    {
        Assert.True(_client.Configure(_image, flags: OpenFlags.ReadOnly).ReadOnly);
        Assert.True(_client.Configure(_image, request => request with { ReadOnly = true }).ReadOnly);
        Assert.False(_client.Configure(_image).ReadOnly);
        Assert.Equal(Errno.EACCES, AsNobodyInParticular("loop0"));
        Assert.Equal(Errno.EROFS, SystemCall.Open(_loopd.Device(0), OpenFlags.ReadWrite));
    }

    [Fact]
    public void CONFIGURE_beyond_the_greatest_number_is_EINVAL() =>
        Fails(Errno.EINVAL, () => _client.Configure(_image, OnDevice(_client.GetDaemon().Limit)), "loop65536");

    [Fact]
    public void CLR_FD_of_an_unbound_device_is_ENXIO_and_of_one_that_is_not_there_ENODEV()
    {
        Fails(Errno.ENXIO, () => _client.Clear(0), "loop0");
        Fails(Errno.ENODEV, () => _client.Clear(Missing), $"loop{Missing}");
    }

    [Fact]
    public void CLR_FD_of_an_open_device_sets_autoclear_and_takes_it_at_the_last_close()
    {
        _client.Configure(_image);
        using (FileDescriptor.Open(_loopd.Device(0), OpenFlags.ReadOnly))
        {
            Assert.True(_client.Clear(0).Deferred);
            Assert.True(_client.GetStatus(0).Autoclear);
            Assert.Equal(Errno.None, SystemCall.Open(_loopd.Device(0), OpenFlags.ReadOnly));
        }
        Loopd.WaitUntil(() => _client.List().Count == 0, "the last close clears it");
        Fails(Errno.ENXIO, () => _client.Clear(0));
    }

    [Fact]
    public void Everything_on_an_unbound_device_is_ENXIO()
    {
        using FileDescriptor file = FileDescriptor.Open(_image, OpenFlags.ReadOnly);
        Fails(Errno.ENXIO, () => _client.GetStatus(1));
        Fails(Errno.ENXIO, () => _client.SetStatus(1, new StatusChange { Autoclear = true }));
        Fails(Errno.ENXIO, () => _client.ChangeBackingFile(1, file));
        Fails(Errno.ENXIO, () => _client.SetCapacity(1));
        Fails(Errno.ENXIO, () => _client.SetDirectIo(1, true));
        Fails(Errno.ENXIO, () => _client.SetDirectIo(1, false));
        Fails(Errno.ENXIO, () => _client.SetSectorSize(1, Sector));
        Fails(Errno.ENXIO, () => _client.Rescan(1));
        Assert.Equal(Errno.ENXIO, SystemCall.Open(_loopd.Device(1), OpenFlags.ReadOnly));
    }

    [Fact]
    public void Everything_on_a_device_that_is_not_there_is_ENODEV()
    {
        using FileDescriptor file = FileDescriptor.Open(_image, OpenFlags.ReadOnly);
        Fails(Errno.ENODEV, () => _client.GetStatus(Missing));
        Fails(Errno.ENODEV, () => _client.SetStatus(Missing, new StatusChange()));
        Fails(Errno.ENODEV, () => _client.ChangeBackingFile(Missing, file));
        Fails(Errno.ENODEV, () => _client.SetCapacity(Missing));
        Fails(Errno.ENODEV, () => _client.SetDirectIo(Missing, true));
        Fails(Errno.ENODEV, () => _client.SetSectorSize(Missing, Sector));
        Fails(Errno.ENODEV, () => _client.Rescan(Missing));
        Fails(Errno.ENODEV, () => _client.Remove(Missing));
    }

    [Fact]
    public void SET_STATUS_sets_and_takes_back_autoclear_and_only_sets_partscan()
    {
        _client.Configure(_image);
        _client.SetStatus(0, new StatusChange { Autoclear = true, Partscan = true });
        Assert.True(_client.GetStatus(0) is { Autoclear: true, Partscan: true });
        _client.SetStatus(0, new StatusChange { Autoclear = false });
        Fails(Errno.EINVAL, () => _client.SetStatus(0, new StatusChange { Autoclear = true, Partscan = false }));
        Assert.True(_client.GetStatus(0) is { Autoclear: false, Partscan: true });
    }

    [Fact]
    public void SET_STATUS_moves_a_device_that_is_closed_and_is_EAGAIN_for_one_that_is_open()
    {
        _client.Configure(_image);
        Assert.Equal(99_840, _client.SetStatus(0, new StatusChange { Offset = 4096, SizeLimit = 100_000 }).Size);
        Assert.Equal(File.ReadAllBytes(_image)[4096..(4096 + 99_840)], File.ReadAllBytes(_loopd.Device(0)));
        using (FileDescriptor.Open(_loopd.Device(0), OpenFlags.ReadOnly))
        {
            Fails(Errno.EAGAIN, () => _client.SetStatus(0, new StatusChange { Offset = 0 }), "loop0");
            Assert.Equal(99_840, _client.SetStatus(0, new StatusChange { Offset = 4096, Reference = "same place" }).Size);
        }
        Assert.Equal("same place", _client.GetStatus(0).Reference);
    }

    [Fact]
    public void SET_STATUS_with_a_reference_of_64_bytes_is_EINVAL()
    {
        _client.Configure(_image);
        _client.SetStatus(0, new StatusChange { Reference = new string('x', 63) });
        Fails(Errno.EINVAL, () => _client.SetStatus(0, new StatusChange { Reference = new string('x', 64) }));
        Fails(Errno.EINVAL, () => _client.Configure(_image, request => request with { Reference = new string('ä', 32) }));
        Assert.Equal(63, _client.GetStatus(0).Reference.Length);
    }

    [Fact]
    public void Another_user_is_refused_everything_with_EPERM_and_sees_nothing()
    {
        AnotherUser.SkipUnlessPossible();
        _client.Configure(_image);
        File.SetUnixFileMode(_loopd.Socket, (UnixFileMode)0b110_110_110);
        try
        {
            foreach (string[] arguments in (string[][])[["-d", "loop0"], ["-c", "loop0"], ["--direct-io=on", "loop0"], ["-b", "4096", "loop0"]])
                AnotherUser.Control(_loopd, arguments).Refused("loop0", "belongs to another user");
            Assert.Equal("", AnotherUser.Control(_loopd, "-a").Succeeded().Output);
        }
        finally
        {
            File.SetUnixFileMode(_loopd.Socket, (UnixFileMode)0b110_000_000);
        }
        Assert.Single(_client.List());
    }

    [Fact]
    public void CHANGE_FD_of_a_device_that_is_not_read_only_is_EINVAL()
    {
        _client.Configure(_image);
        using FileDescriptor file = FileDescriptor.Open(_image, OpenFlags.ReadOnly);
        Fails(Errno.EINVAL, () => _client.ChangeBackingFile(0, file), "read-only");
    }

    [Fact]
    public void CHANGE_FD_to_a_file_of_another_size_is_EINVAL()
    {
        _client.Configure(_image, flags: OpenFlags.ReadOnly);
        using FileDescriptor file = FileDescriptor.Open(_loopd.MakeFile("other.img", (1 << 20) - Sector), OpenFlags.ReadOnly);
        Fails(Errno.EINVAL, () => _client.ChangeBackingFile(0, file), "other.img");
        Assert.Equal(_image, _client.GetStatus(0).BackingFile);
    }

    [Fact]
    public void CHANGE_FD_changes_the_file_under_an_open_device()
    {
        string other = _loopd.MakeFile("other.img", 1 << 20, seed: 2);
        _client.Configure(_image, request => request with { Passthrough = PassthroughChoice.Off }, OpenFlags.ReadOnly);
        using FileDescriptor device = FileDescriptor.Open(_loopd.Device(0), OpenFlags.ReadOnly);
        byte[] seen = new byte[1 << 20];
        Assert.Equal(Errno.None, device.ReadAt(0, seen, out _));
        Assert.Equal(File.ReadAllBytes(_image), seen);
        using (FileDescriptor file = FileDescriptor.Open(other, OpenFlags.ReadOnly))
            _client.ChangeBackingFile(0, file);
        Assert.Equal(Errno.None, device.ReadAt(0, seen, out _));
        Assert.Equal(File.ReadAllBytes(other), seen);
        Assert.Equal(other, _client.GetStatus(0).BackingFile);
        // The answer comes a moment before its message's descriptors are let go.
        Loopd.WaitUntil(() => (_loopd.OpenDescriptors(_image), _loopd.OpenDescriptors(other)) == (0, 1), "the daemon holds the new file alone");
    }

    [Fact]
    public void CHANGE_FD_to_a_device_of_the_daemon_itself_is_EBADF()
    {
        _client.Configure(_image, flags: OpenFlags.ReadOnly);
        _client.Configure(_image, flags: OpenFlags.ReadOnly);
        using FileDescriptor file = FileDescriptor.Open(_loopd.Device(1), OpenFlags.ReadOnly);
        Fails(Errno.EBADF, () => _client.ChangeBackingFile(0, file));
    }

    [Theory]
    [InlineData(256)]
    [InlineData(1000)]
    [InlineData(8192)]
    public void SET_BLOCK_SIZE_that_is_none_is_EINVAL(int bytes)
    {
        _client.Configure(_image);
        Fails(Errno.EINVAL, () => _client.SetSectorSize(0, bytes), $"{bytes}");
        Assert.Equal(Sector, _client.GetStatus(0).SectorSize);
    }

    [Fact]
    public void SET_BLOCK_SIZE_of_an_open_device_is_EBUSY_but_for_the_same_one()
    {
        _client.Configure(_image);
        _client.SetSectorSize(0, 2048);
        using (FileDescriptor.Open(_loopd.Device(0), OpenFlags.ReadOnly))
        {
            Fails(Errno.EBUSY, () => _client.SetSectorSize(0, 4096), "loop0");
            _client.SetSectorSize(0, 2048);
        }
        Assert.Equal(2048, _client.GetStatus(0).SectorSize);
    }

    [Fact]
    public void CTL_ADD_of_a_device_that_is_there_is_EEXIST_and_without_a_number_picks_one()
    {
        Fails(Errno.EEXIST, () => _client.Add(0), "loop0");
        Assert.Equal(8, _client.Add(null).Device);
        Assert.Equal(20, _client.Add(20).Device);
        Assert.Equal(9, _client.Add(null).Device);
        Fails(Errno.EEXIST, () => _client.Add(20), "loop20");
        Fails(Errno.EINVAL, () => _client.Add(65536));
        Fails(Errno.EINVAL, () => _client.Add(-1));
        Assert.True(File.Exists(_loopd.Device(20)));
    }

    [Fact]
    public void CTL_REMOVE_of_a_bound_or_open_device_is_EBUSY_and_of_none_ENODEV()
    {
        _client.Configure(_image);
        _client.Configure(_image, OnDevice(30));
        Fails(Errno.EBUSY, () => _client.Remove(0), "loop0");
        using (FileDescriptor.Open(_loopd.Device(30), OpenFlags.ReadOnly))
        {
            _client.Clear(30);
            Fails(Errno.EBUSY, () => _client.Remove(30), "loop30");
        }
        Loopd.WaitUntil(() => _client.List().Count == 1, "the last close clears it");
        _client.Remove(30);
        Fails(Errno.ENODEV, () => _client.Remove(30));
        Fails(Errno.EINVAL, () => _client.Remove(-1));
        Assert.False(File.Exists(_loopd.Device(30)));
    }

    [Fact]
    public void CTL_REMOVE_of_a_device_that_always_exists_is_EPERM()
    {
        Fails(Errno.EPERM, () => _client.Remove(7), "loop7", "--max-loop");
        Assert.True(File.Exists(_loopd.Device(7)));
    }

    [Fact]
    public void CTL_GET_FREE_is_the_lowest_unbound_device_and_else_makes_one()
    {
        _client.Configure(_image, OnDevice(0));
        _client.Configure(_image, OnDevice(2));
        Assert.Equal(1, _client.GetFree().Device);
        for (int i = 0; i < 6; i++)
            _client.Configure(_image);
        GetFreeReply free = _client.GetFree();
        Assert.Equal((8, _loopd.Device(8)), (free.Device, free.Path));
        Assert.True(File.Exists(free.Path));
        Assert.Equal(8, _client.GetFree().Device);
    }

    private static Func<ConfigureRequest, ConfigureRequest> OnDevice(int number) => request => request with { Device = number };

    private static void Fails(Errno errno, Action call, params string[] parts)
    {
        ControlException refused = Assert.Throws<ControlException>(call);
        Assert.Equal(errno, refused.Errno);
        Assert.All(parts, part => Assert.Contains(part, refused.Message, StringComparison.Ordinal));
    }

    private Errno AsNobodyInParticular(string device) =>
        AnotherUser.Run("cat", Path.Combine(_loopd.Mount, device)).Error.Contains("Permission denied", StringComparison.Ordinal)
            ? Errno.EACCES : Errno.None;
}
