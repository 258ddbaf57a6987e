using LoopDaemon.Linux;
using LoopDaemon.Transfers;

namespace LoopDaemon.Devices.Tests;

/// <summary>What can be bound, the size that comes of it, and the errno where it cannot (drivers/block/loop.c).</summary>
public sealed class BindTests
{
    [Theory]
    [InlineData(1 << 20, 0, 0, 1 << 20)]
    [InlineData(1 << 20, 4096, 0, (1 << 20) - 4096)]
    [InlineData(1 << 20, 4096, 100_000, 99_840)]
    [InlineData(1 << 20, 0, 1 << 21, 1 << 20)]
    [InlineData(1 << 20, 0, 511, 0)]
    [InlineData(1 << 20, 100, 0, (1 << 20) - 512)]
    [InlineData(1 << 20, (1 << 20) - 1, 0, 0)]
    [InlineData(1 << 20, 1 << 20, 0, 0)]
    [InlineData(1 << 20, 1 << 30, 4096, 0)]
    [InlineData(1000, 0, 0, 512)]
    [InlineData(511, 0, 0, 0)]
    [InlineData(0, 0, 0, 0)]
    public void The_size_follows_from_file_offset_and_limit(int file, int offset, int limit, int size)
    {
        using var bench = new Bench();
        LoopDevice device = bench.Bind(Bench.Request(bench.MakeFile(file)) with { OffsetBytes = offset, SizeLimitBytes = limit });
        Assert.Equal(size, device.Binding!.Store.Length);
    }

    [Theory]
    [InlineData(0, 0, 0, "file is smaller than 512 bytes;")]
    [InlineData(511, 0, 0, "file is smaller than 512 bytes;")]
    [InlineData(4096, 4096, 0, "file is smaller than 512 bytes;")]
    [InlineData(4096, 8192, 0, "file is smaller than 512 bytes;")]
    [InlineData(1000, 0, 0, "file does not fit into a 512-byte sector;")]
    [InlineData(4096, 0, 100, "file is smaller than 512 bytes;")]
    [InlineData(4096, 0, 1000, "file does not fit into a 512-byte sector;")]
    public void A_size_that_leaves_something_over_is_losetups_warning(int file, int offset, int limit, string text)
    {
        using var bench = new Bench();
        BindRequest request = Bench.Request(bench.MakeFile(file)) with { OffsetBytes = offset, SizeLimitBytes = limit };
        string warning = Assert.Single(bench.BindFully(request).Warnings);
        Assert.StartsWith("Warning: " + text, warning, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_of_whole_sectors_is_no_reason_to_warn()
    {
        using var bench = new Bench();
        Assert.Empty(bench.BindFully(Bench.Request(bench.MakeFile(8192))).Warnings);
    }

    [Fact]
    public void The_lowest_free_device_is_taken()
    {
        using var bench = new Bench();
        Assert.Equal([0, 1, 2], Enumerable.Range(0, 3).Select(_ => bench.Bind(512).Number));
        bench.Table.Get(1).Clear();
        Assert.Equal(1, bench.Table.GetFree().Number);
        Assert.Equal(1, bench.Bind(512).Number);
        Assert.Equal(3, bench.Bind(512).Number);
    }

    [Fact]
    public void With_all_devices_bound_another_one_is_made()
    {
        using var bench = new Bench(maxLoop: 1);
        bench.Bind(512);
        Assert.Equal(1, bench.Bind(512).Number);
        Assert.Equal(2, bench.Table.GetFree().Number);
        Assert.Equal([0, 1, 2], bench.Table.Devices.Select(device => device.Number));
    }

    [Fact]
    public void A_bound_device_is_EBUSY_and_the_message_names_its_file()
    {
        using var bench = new Bench();
        string path = bench.MakeFile(512);
        bench.Bind(Bench.Request(path), number: 2);
        LinuxException refused = Refused(bench, Bench.Request(bench.MakeFile(1024)), number: 2);
        Assert.Equal(Errno.EBUSY, refused.Errno);
        Assert.Contains(path, refused.Message, StringComparison.Ordinal);
        Assert.Equal(512, bench.Table.Get(2).Binding!.Store.Length);
    }

    [Fact]
    public void A_device_that_is_not_there_is_made_to_be_bound()
    {
        using var bench = new Bench(maxLoop: 2);
        Assert.Equal(40, bench.Bind(512, number: 40).Number);
        Assert.Equal([0, 1, 40], bench.Table.Devices.Select(device => device.Number));
        Assert.Equal([DeviceChange.Added, DeviceChange.Bound], bench.Changes.Select(changed => changed.Change));
    }

    [Theory]
    [InlineData(DeviceTable.Limit)]
    [InlineData(-1)]
    [InlineData(int.MaxValue)]
    public void A_device_out_of_range_is_EINVAL(int number)
    {
        using var bench = new Bench();
        Assert.Equal(Errno.EINVAL, Refused(bench, Bench.Request(bench.MakeFile(512)), number).Errno);
        Assert.Null(bench.Table.Find(number));
    }

    [Theory]
    [InlineData(-1, 0, Errno.EOVERFLOW)]
    [InlineData(0, -1, Errno.EOVERFLOW)]
    [InlineData(long.MinValue, long.MinValue, Errno.EOVERFLOW)]
    public void An_offset_or_limit_out_of_range_is_refused(long offset, long limit, Errno errno)
    {
        using var bench = new Bench();
        string path = bench.MakeFile(4096);
        LinuxException refused = Refused(bench, Bench.Request(path) with { OffsetBytes = offset, SizeLimitBytes = limit });
        Assert.Equal(errno, refused.Errno);
        Assert.Contains(path, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_offset_within_a_sector_goes_without_a_transfer_alone()
    {
        using var bench = new Bench();
        string path = bench.MakeFile(4096);
        Assert.Equal(3584, bench.Bind(Bench.Request(path) with { OffsetBytes = 100 }).Binding!.Store.Length);
        using var key = new SecretKey([1, 2, 3]);
        var xor = new TransferSpec("xor", key);
        LinuxException refused = Refused(bench, Bench.Request(path) with { OffsetBytes = 100, Transfers = [xor] });
        Assert.Equal(Errno.EINVAL, refused.Errno);
        Assert.Contains("xor", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/", OpenFlags.ReadOnly, Errno.EINVAL)]
    [InlineData("/dev/null", OpenFlags.ReadWrite, Errno.EINVAL)]
    [InlineData(null, OpenFlags.WriteOnly, Errno.EBADF)]
    [InlineData(null, OpenFlags.PathOnly, Errno.EBADF)]
    [InlineData(null, OpenFlags.ReadWrite | OpenFlags.Append, Errno.EINVAL)]
    public void A_descriptor_that_no_device_can_be_made_from_is_refused_and_closed(string? path, OpenFlags flags, Errno errno)
    {
        using var bench = new Bench();
        BindRequest request = Bench.Request(path ?? bench.MakeFile(4096), flags);
        Assert.Equal(errno, Refused(bench, request).Errno);
        Assert.True(request.BackingFile.IsClosed);
    }

    [Fact]
    public void A_refused_bind_leaves_the_device_free_and_closes_the_file()
    {
        using var bench = new Bench(maxLoop: 1);
        BindRequest[] refused =
        [
            Bench.Request(bench.MakeFile(512)) with { SectorBytes = 513 },
            Bench.Request(bench.MakeFile(512)) with { OffsetBytes = -1 },
        ];
        Assert.All(refused, request => Refused(bench, request));
        BindRequest unknown = Bench.Request(bench.MakeFile(512)) with { Transfers = [new TransferSpec("rot13")] };
        Assert.Throws<TransferException>(() => bench.Bind(unknown));
        Assert.All([.. refused, unknown], request => Assert.True(request.BackingFile.IsClosed));
        Assert.Empty(bench.Changes);
        Assert.False(bench.Table.AnyBound);

        bench.Bind(512, number: 0);
        BindRequest late = Bench.Request(bench.MakeFile(512));
        Refused(bench, late, number: 0);
        Assert.True(late.BackingFile.IsClosed);
    }

    [Fact]
    public void A_file_opened_to_read_gives_a_read_only_device()
    {
        using var bench = new Bench();
        Assert.True(bench.Bind(Bench.Request(bench.MakeFile(512), OpenFlags.ReadOnly)).Binding!.IsReadOnly);
        Assert.True(bench.Bind(Bench.Request(bench.MakeFile(512)) with { IsReadOnly = true }).Binding!.IsReadOnly);
        Assert.False(bench.Bind(512).Binding!.IsReadOnly);
    }

    [Fact]
    public void A_binding_tells_what_it_was_made_of()
    {
        using var bench = new Bench();
        string path = bench.MakeFile(4096);
        Binding binding = bench.Bind(Bench.Request(path) with
        {
            OffsetBytes = 512,
            SizeLimitBytes = 1024,
            OwnerUid = 12,
            OwnerGid = 34,
            Transfers = [new TransferSpec("identity")],
        }).Binding!;
        BindingStatus then = binding.Status;
        Assert.Equal((path, 512, 1024, 12u, 34u), (then.BackingPath, then.OffsetBytes, then.SizeLimitBytes, binding.OwnerUid, binding.OwnerGid));
        Assert.Equal(["identity"], binding.TransferNames);
        Assert.Equal(Errno.None, FileStatus.Of(path, out FileStatus status));
        Assert.Equal((status.Device, status.Inode), (then.Backing.Device, then.Backing.Inode));
    }

    [Theory]
    [InlineData("1", "xor")]
    [InlineData("xor", "xor")]
    [InlineData("none", "identity")]
    [InlineData("0", "identity")]
    public void A_transfer_has_its_registered_name_however_it_was_asked_for(string asked, string name)
    {
        using var bench = new Bench();
        using var key = new SecretKey([1, 2, 3]);
        BindRequest request = Bench.Request(bench.MakeFile(512)) with { Transfers = [new TransferSpec(asked, name == "xor" ? key : null)] };
        Assert.Equal([name], bench.Bind(request).Binding!.TransferNames);
    }

    private static LinuxException Refused(Bench bench, BindRequest request, int? number = null) =>
        Assert.Throws<LinuxException>(() => bench.Bind(request, number));
}
