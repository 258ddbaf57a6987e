using LoopDaemon.Linux;

namespace LoopDaemon.Storage.Tests;

public sealed class WindowStoreTests
{
    private readonly byte[] _scratch = new byte[BlockStore.MinScratchBytes];

    [Theory]
    [InlineData(0, 0, 0, 0)]
    [InlineData(511, 0, 0, 0)]
    [InlineData(512, 0, 0, 512)]
    [InlineData(1_000_000, 0, 0, 999_936)]
    [InlineData(1_048_576, 4096, 100_000, 99_840)]
    [InlineData(1_048_576, 4096, 0, 1_044_480)]
    [InlineData(1_048_576, 4096, 2_000_000, 1_044_480)]
    [InlineData(1_048_576, 1_048_576, 0, 0)]
    [InlineData(1_048_576, 2_000_000, 0, 0)]
    [InlineData(1_048_576, 2_000_000, 4096, 0)]
    [InlineData(1_048_576, 100, 0, 1_048_064)]
    [InlineData(1_048_576, 0, 511, 0)]
    [InlineData(0, long.MaxValue, long.MaxValue, 0)]
    [InlineData(long.MaxValue, 0, 0, long.MaxValue - 511)]
    public void The_length_is_that_of_a_kernel_loop_device(long backing, long offset, long sizeLimit, long expected) =>
        Assert.Equal(expected, WindowStore.WindowLength(backing, offset, sizeLimit));

    [Fact]
    public void Shows_the_file_from_an_unrounded_offset()
    {
        byte[] contents = Bytes.Random(5000, seed: 1);
        using var file = new TemporaryFile(contents);
        using var window = new WindowStore(file.Open(), offset: 100, sizeLimit: 1024);
        Assert.Equal(1024, window.Length);
        byte[] read = new byte[1024];
        Assert.Equal(Errno.None, window.Read(0, read));
        Assert.Equal(contents[100..1124], read);

        byte[] data = Bytes.Random(24, seed: 2);
        Assert.Equal(Errno.None, window.Write(1000, data, _scratch));
        Assert.Equal(data, file.Bytes[1100..1124]);
        Assert.Equal(Errno.None, window.WriteZeroes(0, 10, _scratch));
        Assert.Equal(Errno.None, window.Discard(10, 10));
        Assert.Equal([.. contents[..100], .. new byte[20], .. contents[120..1100], .. data, .. contents[1124..]], file.Bytes);
    }

    [Fact]
    public void The_file_outside_the_window_is_out_of_reach()
    {
        using var file = new TemporaryFile(Bytes.Random(8192, seed: 3));
        using var window = new WindowStore(file.Open(), offset: 512, sizeLimit: 1024);
        Assert.Equal(Errno.ENOSPC, window.Write(1023, new byte[2], _scratch));
        Assert.Equal(Errno.ENOSPC, window.WriteZeroes(0, 1025, _scratch));
        Assert.Equal(Errno.ENOSPC, window.Discard(1024, 512));
        Assert.Equal(Errno.EINVAL, window.Write(-1, new byte[2], _scratch));
        byte[] read = [1, 1];
        Assert.Equal(Errno.EIO, window.Read(1023, read));
        Assert.Equal([0, 0], read);
    }

    [Fact]
    public void Grows_with_the_file_when_told()
    {
        using var file = new TemporaryFile(4096);
        FileStore store = file.Open();
        using var window = new WindowStore(store, offset: 1024, sizeLimit: 0);
        using (FileStream outside = File.OpenWrite(file.Path))
            outside.SetLength(8192);
        Assert.Equal(Errno.None, store.RefreshLength());
        Assert.Equal(3072, window.Length);
        window.Recompute();
        Assert.Equal(7168, window.Length);
    }

    [Fact]
    public void Seek_counts_from_the_window_and_ends_with_it()
    {
        using var file = new TemporaryFile(1 << 20);
        using var window = new WindowStore(file.Open(), offset: 4096, sizeLimit: 131072);
        Assert.Equal(Errno.None, window.Write(65536, Bytes.Random(4096, seed: 4), _scratch));
        Assert.Equal(Errno.None, window.Seek(SeekTarget.Data, 0, out long found));
        Assert.Equal(65536, found);
        Assert.Equal(Errno.None, window.Seek(SeekTarget.Hole, 65536, out found));
        Assert.Equal(69632, found);
        Assert.Equal(Errno.ENXIO, window.Seek(SeekTarget.Data, 69632, out _));
        Assert.Equal(Errno.ENXIO, window.Seek(SeekTarget.Hole, 131072, out _));

        // Data right behind the window does not count.
        File.WriteAllBytes(file.Path, Bytes.Random(1 << 20, seed: 5));
        Assert.Equal(Errno.None, window.Discard(0, 131072));
        Assert.Equal(Errno.ENXIO, window.Seek(SeekTarget.Data, 0, out _));
    }

    [Fact]
    public void Negative_numbers_are_refused()
    {
        using var file = new TemporaryFile(4096);
        using FileStore store = file.Open();
        Assert.Throws<ArgumentOutOfRangeException>(() => new WindowStore(store, -1, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => new WindowStore(store, 0, -1));
    }

    [Fact]
    public void Is_read_only_where_the_file_is()
    {
        using var file = new TemporaryFile(4096);
        using var window = new WindowStore(file.Open(OpenFlags.ReadOnly), 0, 0);
        Assert.True(window.IsReadOnly);
        Assert.Equal(Errno.EROFS, window.Write(0, new byte[512], _scratch));
    }
}
