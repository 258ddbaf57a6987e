using System.Diagnostics;
using LoopDaemon.Linux;

namespace LoopDaemon.Storage.Tests;

public sealed class FileStoreTests
{
    private readonly byte[] _scratch = new byte[BlockStore.MinScratchBytes];

    [Fact]
    public void Reads_back_what_was_written()
    {
        using var file = new TemporaryFile(10_000);
        using FileStore store = file.Open();
        byte[] data = Bytes.Random(700, seed: 1);
        Assert.Equal(10_000, store.Length);
        Assert.Equal(Errno.None, store.Write(333, data, _scratch));
        byte[] read = new byte[700];
        Assert.Equal(Errno.None, store.Read(333, read));
        Assert.Equal(data, read);
        Assert.Equal(Errno.None, store.Flush());
        Assert.Equal(data, file.Bytes[333..1033]);
    }

    [Theory]
    [InlineData(4096, 1)]
    [InlineData(4000, 97)]
    [InlineData(long.MaxValue, 1)]
    public void Write_past_the_end_is_ENOSPC(long offset, int length)
    {
        using var file = new TemporaryFile(4096);
        using FileStore store = file.Open();
        Assert.Equal(Errno.ENOSPC, store.Write(offset, new byte[length], _scratch));
        Assert.Equal(Errno.ENOSPC, store.WriteZeroes(offset, length, _scratch));
        Assert.Equal(Errno.ENOSPC, store.Discard(offset, length));
        Assert.Equal(4096, new FileInfo(file.Path).Length);
    }

    [Fact]
    public void Read_past_the_end_is_EIO_and_zeros()
    {
        using var file = new TemporaryFile(Bytes.Random(4096, seed: 2));
        using FileStore store = file.Open();
        byte[] read = [1, 2, 3];
        Assert.Equal(Errno.EIO, store.Read(4094, read));
        Assert.Equal([0, 0, 0], read);
    }

    [Fact]
    public void Negative_offset_is_EINVAL()
    {
        using var file = new TemporaryFile(4096);
        using FileStore store = file.Open();
        Assert.Equal(Errno.EINVAL, store.Read(-1, new byte[1]));
        Assert.Equal(Errno.EINVAL, store.Write(-1, new byte[1], _scratch));
        Assert.Equal(Errno.EINVAL, store.Discard(0, -1));
    }

    [Fact]
    public void Truncated_file_reads_zeros_for_what_is_gone_and_EIO()
    {
        byte[] contents = Bytes.Random(8192, seed: 3);
        using var file = new TemporaryFile(contents);
        using FileStore store = file.Open();
        using (FileStream outside = File.OpenWrite(file.Path))
            outside.SetLength(5000);
        byte[] read = [.. Enumerable.Repeat((byte)0xEE, 4096)];
        Assert.Equal(Errno.EIO, store.Read(4096, read));
        Assert.Equal(contents[4096..5000], read[..904]);
        Assert.All(read[904..], value => Assert.Equal(0, value));
    }

    [Fact]
    public void The_length_is_that_of_opening_until_it_is_refreshed()
    {
        using var file = new TemporaryFile(4096);
        using FileStore store = file.Open();
        using (FileStream outside = File.OpenWrite(file.Path))
            outside.SetLength(8192);
        Assert.Equal(4096, store.Length);
        Assert.Equal(Errno.None, store.RefreshLength());
        Assert.Equal(8192, store.Length);
    }

    [Fact]
    public void Read_only_descriptor_makes_a_store_whose_changes_are_EROFS()
    {
        using var file = new TemporaryFile(4096);
        using FileStore store = file.Open(OpenFlags.ReadOnly);
        Assert.True(store.IsReadOnly);
        Assert.Equal(Errno.EROFS, store.Write(0, new byte[1], _scratch));
        Assert.Equal(Errno.EROFS, store.Discard(0, 512));
        Assert.Equal(Errno.EROFS, store.WriteZeroes(0, 512, _scratch));
        Assert.Equal(Errno.None, store.Flush());
    }

    [Fact]
    public void Discard_frees_the_space_and_reads_zeros()
    {
        using var file = new TemporaryFile(Bytes.Random(1 << 20, seed: 4));
        using FileStore store = file.Open();
        Assert.Equal(Errno.None, store.Flush());
        long before = file.AllocatedBytes;
        Assert.Equal(Errno.None, store.Discard(65536, 512 * 1024));
        // A file system may need a block of its own to describe the hole.
        Assert.InRange(file.AllocatedBytes, 0, before - 500 * 1024);
        CheckZeroed(file, 65536, 512 * 1024);
    }

    [Fact]
    public void WriteZeroes_neither_frees_space_nor_grows_the_file()
    {
        using var file = new TemporaryFile(Bytes.Random(1 << 20, seed: 4));
        using FileStore store = file.Open();
        Assert.Equal(Errno.None, store.Flush());
        long before = file.AllocatedBytes;
        Assert.Equal(Errno.None, store.WriteZeroes(1000, (1 << 20) - 1000, _scratch));
        Assert.Equal(1 << 20, new FileInfo(file.Path).Length);
        CheckZeroed(file, 1000, (1 << 20) - 1000);
        Assert.SkipWhen(store.Refused.HasFlag(AllocateMode.ZeroRange), "This file system zeroes by punching holes.");
        Assert.InRange(file.AllocatedBytes, before, long.MaxValue);
    }

    [Fact]
    public void Nothing_to_do_is_success()
    {
        using var file = new TemporaryFile(4096);
        using FileStore store = file.Open();
        Assert.Equal(Errno.None, store.Read(4096, []));
        Assert.Equal(Errno.None, store.Write(4096, [], _scratch));
        Assert.Equal(Errno.None, store.Discard(4096, 0));
        Assert.Equal(Errno.None, store.WriteZeroes(4096, 0, _scratch));
    }

    // Memory files punch holes but cannot zero a range: shmem_fallocate of Linux, mm/shmem.c.
    [Fact]
    public void WriteZeroes_falls_back_to_holes_and_remembers_that()
    {
        using FileStore store = FileStore.Open(FileDescriptor.CreateMemory("zeroes", 65536));
        Assert.Equal(Errno.None, store.Write(0, Bytes.Random(65536, seed: 5), _scratch));
        Assert.Equal(Errno.None, store.WriteZeroes(100, 60000, _scratch));
        Assert.Equal(AllocateMode.ZeroRange, store.Refused);
        byte[] read = new byte[60000];
        Assert.Equal(Errno.None, store.Read(100, read));
        Assert.All(read, value => Assert.Equal(0, value));
    }

    [Fact]
    public void Without_fallocate_zeros_are_written_and_discard_is_EOPNOTSUPP()
    {
        byte[] contents = Bytes.Random(65536, seed: 6);
        using var file = new TemporaryFile(contents);
        using FileStore store = file.Open();
        store.Refused = AllocateMode.ZeroRange | AllocateMode.PunchHole;
        Assert.Equal(Errno.EOPNOTSUPP, store.Discard(0, 4096));
        Assert.Equal(contents, file.Bytes);
        Assert.Equal(Errno.None, store.WriteZeroes(5, 30000, _scratch));
        CheckZeroed(file, 5, 30000);
        Assert.Equal(contents[..5], file.Bytes[..5]);
        Assert.Equal(contents[30005..], file.Bytes[30005..]);
    }

    [Fact]
    public void Seek_finds_data_and_holes()
    {
        using var file = new TemporaryFile(1 << 20);
        using FileStore store = file.Open();
        Assert.Equal(Errno.None, store.Write(65536, Bytes.Random(65536, seed: 7), _scratch));
        Assert.Equal(Errno.None, store.Seek(SeekTarget.Data, 0, out long found));
        Assert.Equal(65536, found);
        Assert.Equal(Errno.None, store.Seek(SeekTarget.Hole, 70000, out found));
        Assert.Equal(131072, found);
        Assert.Equal(Errno.ENXIO, store.Seek(SeekTarget.Data, 131072, out _));
        Assert.Equal(Errno.None, store.Seek(SeekTarget.Hole, 200000, out found));
        Assert.Equal(200000, found);
        Assert.Equal(Errno.ENXIO, store.Seek(SeekTarget.Hole, 1 << 20, out _));
        Assert.Equal(Errno.ENXIO, store.Seek(SeekTarget.Data, -1, out _));
    }

    [Fact]
    public void Seek_stays_within_the_length_of_opening()
    {
        using var file = new TemporaryFile(Bytes.Random(4096, seed: 8));
        using FileStore store = file.Open();
        File.AppendAllBytes(file.Path, Bytes.Random(4096, seed: 9));
        Assert.Equal(Errno.None, store.Seek(SeekTarget.Hole, 0, out long found));
        Assert.Equal(4096, found);
    }

    [Fact]
    public void A_directory_is_EINVAL()
    {
        LinuxException refused = Refuse(Errno.EINVAL, "/", OpenFlags.ReadOnly);
        Assert.Equal("/ is a directory, not a regular file or a block device", refused.Message);
    }

    [Fact]
    public void A_pipe_is_EINVAL()
    {
        string path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        using (Process mkfifo = Process.Start("mkfifo", [path]))
            mkfifo.WaitForExit();
        try
        {
            LinuxException refused = Refuse(Errno.EINVAL, path, OpenFlags.ReadWrite);
            Assert.Equal($"{path} is a pipe, not a regular file or a block device", refused.Message);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void A_character_device_is_EINVAL() => Refuse(Errno.EINVAL, "/dev/zero", OpenFlags.ReadWrite);

    [Fact]
    public void A_file_opened_to_append_is_EINVAL()
    {
        using var file = new TemporaryFile(4096);
        Refuse(Errno.EINVAL, file.Path, OpenFlags.ReadWrite | OpenFlags.Append);
    }

    [Theory]
    [InlineData(OpenFlags.WriteOnly)]
    [InlineData(OpenFlags.PathOnly)]
    public void A_file_not_opened_for_reading_is_EBADF(OpenFlags flags)
    {
        using var file = new TemporaryFile(4096);
        Refuse(Errno.EBADF, file.Path, flags);
    }

    [Fact]
    public void The_store_closes_its_descriptor()
    {
        using var file = new TemporaryFile(4096);
        FileDescriptor descriptor = FileDescriptor.Open(file.Path, OpenFlags.ReadWrite);
        FileStore.Open(descriptor).Dispose();
        Assert.True(descriptor.IsClosed);
    }

    private static LinuxException Refuse(Errno errno, string path, OpenFlags flags)
    {
        using FileDescriptor descriptor = FileDescriptor.Open(path, flags);
        var refused = Assert.Throws<LinuxException>(() => FileStore.Open(descriptor));
        Assert.Equal(errno, refused.Errno);
        Assert.Contains(path, refused.Message, StringComparison.Ordinal);
        Assert.False(descriptor.IsClosed);
        return refused;
    }

    private static void CheckZeroed(TemporaryFile file, int offset, int length)
    {
        byte[] contents = file.Bytes;
        Assert.False(contents.AsSpan(offset, length).ContainsAnyExcept((byte)0));
        Assert.NotEqual(0, contents[..offset].Count(value => value != 0));
    }
}
