using LoopDaemon.Linux;

namespace LoopDaemon.Devices.Tests;

/// <summary>Reads, writes and the rest at the edges of a device.</summary>
public sealed class InputOutputTests
{
    private static readonly byte[] Scratch = new byte[64 << 10];

    [Fact]
    public void Everything_on_an_unbound_device_is_ENXIO()
    {
        using var bench = new Bench();
        LoopDevice device = bench.Table.Get(0);
        Assert.Equal(Errno.ENXIO, device.Read(0, 0, new byte[512], out _));
        Assert.Equal(Errno.ENXIO, device.Write(0, 0, new byte[512], Scratch, durable: false, out _));
        Assert.Equal(Errno.ENXIO, device.Flush());
        Assert.Equal(Errno.ENXIO, device.Discard(0, 0, 512));
        Assert.Equal(Errno.ENXIO, device.WriteZeroes(0, 0, 512, Scratch));
        Assert.Equal(Errno.ENXIO, device.Seek(0, SeekTarget.Data, 0, out _));
        Assert.Empty(bench.Failures);
    }

    [Theory]
    [InlineData(0, 512, 512)]
    [InlineData(3584, 512, 512)]
    [InlineData(3584, 1024, 512)]
    [InlineData(4095, 10, 1)]
    [InlineData(4096, 512, 0)]
    [InlineData(1L << 40, 512, 0)]
    [InlineData(long.MaxValue, 512, 0)]
    public void A_read_ends_where_the_device_ends(long offset, int length, int expected)
    {
        using var bench = new Bench();
        LoopDevice device = bench.Bind(4096);
        byte[] bytes = new byte[length];
        Assert.Equal(Errno.None, device.Read(0, offset, bytes, out int count));
        Assert.Equal(expected, count);
        if (count > 0)
            Assert.Equal(Bench.Pattern(4096).AsSpan((int)offset, count), bytes.AsSpan(0, count));
    }

    [Theory]
    [InlineData(0, 512, Errno.None, 512)]
    [InlineData(100, 3, Errno.None, 3)]
    [InlineData(3584, 512, Errno.None, 512)]
    [InlineData(3584, 1024, Errno.None, 512)]
    [InlineData(4095, 10, Errno.None, 1)]
    [InlineData(4096, 1, Errno.ENOSPC, 0)]
    [InlineData(long.MaxValue, 512, Errno.ENOSPC, 0)]
    [InlineData(-1, 512, Errno.ENOSPC, 0)]
    [InlineData(4096, 0, Errno.None, 0)]
    public void A_write_is_short_across_the_end_and_ENOSPC_past_it(long offset, int length, Errno errno, int expected)
    {
        using var bench = new Bench();
        // The file goes on behind the device: what is written past the device's end must not show up there.
        string path = bench.MakeFile(8192);
        LoopDevice device = bench.Bind(Bench.Request(path) with { SizeLimitBytes = 4096 });
        byte[] data = new byte[length];
        data.AsSpan().Fill(0xEE);
        Assert.Equal(errno, device.Write(0, offset, data, Scratch, durable: false, out int count));
        Assert.Equal(expected, count);
        byte[] file = Bench.Pattern(8192);
        if (count > 0)
            file.AsSpan((int)offset, count).Fill(0xEE);
        Assert.Equal(file, File.ReadAllBytes(path));
    }

    [Fact]
    public void A_read_only_device_refuses_every_change_with_EROFS()
    {
        using var bench = new Bench();
        string path = bench.MakeFile(4096);
        LoopDevice device = bench.Bind(Bench.Request(path) with { IsReadOnly = true });
        Assert.Equal(Errno.EROFS, device.Open(0, forWriting: true));
        Assert.Equal(Errno.None, device.Open(0, forWriting: false));
        Assert.Equal(Errno.EROFS, device.Write(0, 0, new byte[512], Scratch, durable: false, out _));
        Assert.Equal(Errno.EROFS, device.Discard(0, 0, 512));
        Assert.Equal(Errno.EROFS, device.WriteZeroes(0, 0, 512, Scratch));
        Assert.Equal(Errno.None, device.Flush());
        Assert.Equal(Bench.Pattern(4096), File.ReadAllBytes(path));
    }

    [Theory]
    [InlineData(-1, 512)]
    [InlineData(0, -512)]
    public void A_negative_range_is_EINVAL(long offset, long length)
    {
        using var bench = new Bench();
        LoopDevice device = bench.Bind(4096);
        Assert.Equal(Errno.EINVAL, device.Discard(0, offset, length));
        Assert.Equal(Errno.EINVAL, device.WriteZeroes(0, offset, length, Scratch));
    }

    [Theory]
    [InlineData(1024, 512)]
    [InlineData(3584, 1 << 20)]
    [InlineData(0, long.MaxValue)]
    [InlineData(4096, 512)]
    [InlineData(long.MaxValue, long.MaxValue)]
    public void Zeros_are_written_up_to_the_devices_end_alone(long offset, long length)
    {
        using var bench = new Bench();
        string path = bench.MakeFile(8192);
        LoopDevice device = bench.Bind(Bench.Request(path) with { SizeLimitBytes = 4096 });
        Assert.Equal(Errno.None, device.WriteZeroes(0, offset, length, Scratch));
        byte[] file = Bench.Pattern(8192);
        if (offset < 4096)
            file.AsSpan((int)offset, (int)Math.Min(length, 4096 - offset)).Clear();
        Assert.Equal(file, File.ReadAllBytes(path));
    }

    [Fact]
    public void Data_and_holes_are_sought_within_the_device_alone()
    {
        using var bench = new Bench();
        LoopDevice device = bench.Bind(Bench.Request(bench.MakeFile(8192)) with { SizeLimitBytes = 4096 });
        Assert.Equal(Errno.None, device.Seek(0, SeekTarget.Hole, 0, out long found));
        Assert.Equal(4096, found);
        Assert.Equal(Errno.None, device.Seek(0, SeekTarget.Data, 100, out found));
        Assert.Equal(100, found);
        Assert.Equal(Errno.ENXIO, device.Seek(0, SeekTarget.Data, 4096, out _));
        Assert.Equal(Errno.ENXIO, device.Seek(0, SeekTarget.Hole, 4096, out _));
        Assert.Equal(Errno.ENXIO, device.Seek(0, SeekTarget.Data, -1, out _));
    }

    [Fact]
    public void A_backing_file_cut_short_answers_EIO_and_the_failure_is_told()
    {
        using var bench = new Bench();
        string path = bench.MakeFile(8192);
        LoopDevice device = bench.Bind(Bench.Request(path));
        using (FileStream file = File.OpenWrite(path))
            file.SetLength(4096);
        Assert.Equal(Errno.None, device.Read(0, 0, new byte[4096], out _));
        byte[] bytes = new byte[512];
        bytes.AsSpan().Fill(1);
        Assert.Equal(Errno.EIO, device.Read(0, 4096, bytes, out int count));
        Assert.Equal(0, count);
        Assert.Equal(new DeviceFailure(device, "read", 4096, 512, Errno.EIO), Assert.Single(bench.Failures));
        Assert.Equal(1, device.Statistics.Errors);
    }

    [Fact]
    public void What_was_done_is_counted_and_forgotten_with_the_next_bind()
    {
        using var bench = new Bench();
        LoopDevice device = bench.Bind(4096);
        device.Read(0, 0, new byte[512], out _);
        device.Read(0, 4000, new byte[512], out _);
        device.Write(0, 0, new byte[1000], Scratch, durable: false, out _);
        device.Write(0, 4096, new byte[1], Scratch, durable: false, out _);
        Assert.Equal(new DeviceStatistics(Reads: 2, Writes: 1, BytesRead: 608, BytesWritten: 1000, Errors: 0), device.Statistics);
        device.Clear();
        Assert.Equal(2, device.Statistics.Reads);
        bench.Bind(4096, device.Number);
        Assert.Equal(default, device.Statistics);
    }
}
