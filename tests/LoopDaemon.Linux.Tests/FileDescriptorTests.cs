namespace LoopDaemon.Linux.Tests;

/// <summary>The system calls, on real files.</summary>
public sealed class FileDescriptorTests : IDisposable
{
    private readonly string _path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());

    public void Dispose() => File.Delete(_path);

    [Fact]
    public void What_cannot_be_opened_is_an_errno_or_an_exception_that_names_it()
    {
        Assert.Equal(Errno.ENOENT, FileDescriptor.TryOpen(_path, OpenFlags.ReadOnly, out FileDescriptor? opened));
        Assert.Null(opened);
        var refused = Assert.Throws<LinuxException>(() => FileDescriptor.Open(_path, OpenFlags.ReadOnly));
        Assert.Equal(Errno.ENOENT, refused.Errno);
        Assert.Equal($"cannot open {_path}: No such file or directory", refused.Message);
    }

    [Fact]
    public void What_is_written_at_an_offset_is_read_there()
    {
        using FileDescriptor file = Create();
        Assert.Equal(Errno.None, file.WriteAt(1000, "data"u8));
        byte[] bytes = new byte[10];
        Assert.Equal(Errno.None, file.ReadAt(998, bytes, out int count));
        Assert.Equal(6, count);
        Assert.Equal("\0\0data\0\0\0\0"u8, bytes);
        Assert.Equal(Errno.None, file.ReadAt(5000, bytes, out count));
        Assert.Equal(0, count);
    }

    [Fact]
    public void Read_and_write_move_along()
    {
        using FileDescriptor file = Create();
        Assert.Equal(Errno.None, file.Write("abc"u8, out int count));
        Assert.Equal(3, count);
        byte[] bytes = new byte[8];
        Assert.Equal(Errno.None, file.Read(bytes, out count));
        Assert.Equal(0, count);
    }

    [Fact]
    public void A_file_is_created_with_its_permissions_and_only_once()
    {
        using FileDescriptor file = FileDescriptor.Open(_path, OpenFlags.ReadWrite | OpenFlags.Create | OpenFlags.Exclusive, 0b110_000_000);
        Assert.Equal(Errno.None, file.GetStatus(out FileStatus status));
        Assert.Equal(0b110_000_000u, status.Permissions);
        Assert.Equal(Errno.EEXIST, FileDescriptor.TryOpen(_path, OpenFlags.ReadWrite | OpenFlags.Create | OpenFlags.Exclusive, out _));
    }

    [Fact]
    public void The_status_is_that_of_the_path()
    {
        using FileDescriptor file = Create();
        Assert.Equal(Errno.None, file.SetLength(12345));
        Assert.Equal(Errno.None, file.GetStatus(out FileStatus ofDescriptor));
        Assert.Equal(Errno.None, FileStatus.Of(_path, out FileStatus ofPath));
        Assert.Equal(ofPath, ofDescriptor);
        Assert.Equal((FileKind.RegularFile, 12345, 1u), (ofPath.Kind, ofPath.SizeBytes, ofPath.Links));
        File.Delete(_path);
        Assert.Equal(Errno.None, file.GetStatus(out ofDescriptor));
        Assert.Equal(0u, ofDescriptor.Links);
        Assert.Equal(Errno.ENOENT, FileStatus.Of(_path, out _));
    }

    [Theory]
    [InlineData("/", FileKind.Directory)]
    [InlineData("/dev/null", FileKind.CharacterDevice)]
    [InlineData("/proc/self/exe", FileKind.RegularFile)]
    public void A_paths_kind_is_told(string path, FileKind kind)
    {
        Assert.Equal(Errno.None, FileStatus.Of(path, out FileStatus status));
        Assert.Equal(kind, status.Kind);
    }

    [Fact]
    public void A_path_with_unicode_is_opened_and_described()
    {
        string path = _path + " größe ☃";
        using FileDescriptor file = FileDescriptor.Open(path, OpenFlags.ReadWrite | OpenFlags.Create, 0b110_000_000);
        Assert.Equal(path, file.DescribePath());
        File.Delete(path);
        Assert.Equal(path + " (deleted)", file.DescribePath());
    }

    [Fact]
    public void A_duplicate_outlives_the_original_and_shares_its_position()
    {
        FileDescriptor file = Create();
        using FileDescriptor second = file.Duplicate();
        file.Write("abc"u8, out _);
        file.Dispose();
        Assert.Equal(Errno.None, second.Write("def"u8, out _));
        Assert.Equal("abcdef", File.ReadAllText(_path));
    }

    [Fact]
    public void The_flags_it_was_opened_with_are_told()
    {
        using FileDescriptor file = Create(OpenFlags.Append);
        Assert.Equal(Errno.None, file.GetFlags(out OpenFlags flags));
        Assert.Equal(OpenFlags.ReadWrite, flags & OpenFlags.AccessMode);
        Assert.True(flags.HasFlag(OpenFlags.Append));
        using FileDescriptor named = FileDescriptor.Open(_path, OpenFlags.PathOnly);
        Assert.Equal(Errno.None, named.GetFlags(out flags));
        Assert.True(flags.HasFlag(OpenFlags.PathOnly));
        Assert.Equal(Errno.EBADF, named.ReadAt(0, new byte[1], out _));
    }

    [Fact]
    public void Data_and_holes_are_found()
    {
        using FileDescriptor file = Create();
        file.SetLength(1 << 20);
        file.WriteAt(512 << 10, new byte[4096]);
        Assert.Equal(Errno.None, file.Seek(SeekTarget.Hole, 512 << 10, out long hole));
        Assert.InRange(hole, (512 << 10) + 4096, 1 << 20);
        Assert.Equal(Errno.ENXIO, file.Seek(SeekTarget.Data, 1 << 20, out _));
    }

    [Fact]
    public void A_punched_hole_reads_as_zeros_and_the_length_stays()
    {
        using FileDescriptor file = Create();
        byte[] ones = new byte[16384];
        ones.AsSpan().Fill(1);
        file.WriteAt(0, ones);
        Errno error = file.Allocate(AllocateMode.PunchHole | AllocateMode.KeepSize, 4096, 4096);
        Assert.SkipWhen(error == Errno.EOPNOTSUPP, "this file system punches no holes");
        Assert.Equal(Errno.None, error);
        ones.AsSpan(4096, 4096).Clear();
        Assert.Equal(ones, File.ReadAllBytes(_path));
    }

    [Fact]
    public void A_lock_keeps_the_next_one_out_until_it_is_closed()
    {
        using FileDescriptor second = Create();
        using (FileDescriptor first = FileDescriptor.Open(_path, OpenFlags.ReadWrite))
        {
            Assert.Equal(Errno.None, first.Lock(wait: false));
            Assert.Equal(Errno.EAGAIN, second.Lock(wait: false));
        }
        Assert.Equal(Errno.None, second.Lock(wait: false));
    }

    [Fact]
    public void A_wait_for_input_ends_with_the_time_or_the_input()
    {
        (FileDescriptor here, FileDescriptor there) = DescriptorPassing.CreatePair();
        using (here)
        using (there)
        {
            Assert.Equal(Errno.ETIMEDOUT, here.WaitReadable(TimeSpan.FromMilliseconds(20)));
            there.Write("x"u8, out _);
            Assert.Equal(Errno.None, here.WaitReadable(TimeSpan.FromSeconds(5)));
        }
    }

    [Fact]
    public void Descriptors_travel_over_a_socket()
    {
        (FileDescriptor here, FileDescriptor there) = DescriptorPassing.CreatePair();
        using (here)
        using (there)
        using (FileDescriptor file = Create())
        {
            file.WriteAt(0, "data"u8);
            Assert.Equal(Errno.None, DescriptorPassing.Send(here.Number, "hello"u8, [file], wait: true, out int count));
            Assert.Equal(5, count);
            byte[] bytes = new byte[16];
            var received = new List<FileDescriptor>();
            Assert.Equal(Errno.None, DescriptorPassing.Receive(there.Number, bytes, received, maxDescriptors: 1, wait: true, out count, out bool lost));
            Assert.False(lost);
            Assert.Equal("hello"u8, bytes.AsSpan(0, count));
            using FileDescriptor arrived = Assert.Single(received);
            Assert.NotEqual(file.Number, arrived.Number);
            Assert.Equal(Errno.None, arrived.ReadAt(0, bytes, out count));
            Assert.Equal("data"u8, bytes.AsSpan(0, count));
        }
    }

    [Fact]
    public void More_descriptors_than_there_is_room_for_are_told_and_lost()
    {
        (FileDescriptor here, FileDescriptor there) = DescriptorPassing.CreatePair();
        using (here)
        using (there)
        using (FileDescriptor file = Create())
        {
            Assert.Equal(Errno.None, DescriptorPassing.Send(here.Number, "x"u8, [file, file, file, file, file, file], wait: true, out _));
            var received = new List<FileDescriptor>();
            Assert.Equal(Errno.None, DescriptorPassing.Receive(there.Number, new byte[1], received, maxDescriptors: 2, wait: true, out _, out bool lost));
            Assert.True(lost);
            Assert.Equal(2, received.Count);
            received.ForEach(descriptor => descriptor.Dispose());
            Assert.Equal(1, OpenDescriptors());
        }
    }

    [Fact]
    public void A_socket_with_nothing_to_read_says_so_instead_of_waiting()
    {
        (FileDescriptor here, FileDescriptor there) = DescriptorPassing.CreatePair();
        using (here)
        using (there)
            Assert.Equal(Errno.EAGAIN, DescriptorPassing.Receive(there.Number, new byte[1], [], maxDescriptors: 1, wait: false, out _, out _));
    }

    [Fact]
    public void A_memory_file_has_its_size_and_no_name()
    {
        using FileDescriptor memory = FileDescriptor.CreateMemory("loopd-test", 8192);
        Assert.Equal(Errno.None, memory.GetStatus(out FileStatus status));
        Assert.Equal((FileKind.RegularFile, 8192, 0u), (status.Kind, status.SizeBytes, status.Links));
        Assert.StartsWith("/memfd:loopd-test", memory.DescribePath(), StringComparison.Ordinal);
    }

    [Fact]
    public void Error_numbers_have_names_and_sentences()
    {
        Assert.Equal("ENOSPC", Errno.ENOSPC.Name());
        Assert.Equal("E32", ((Errno)32).Name());
        Assert.Equal("No space left on device", Errno.ENOSPC.Describe());
    }

    /// <summary>Of this test's own file: other tests, which run at the same time, open theirs.</summary>
    private int OpenDescriptors() => Directory.GetFiles("/proc/self/fd").Count(entry => new FileInfo(entry).LinkTarget == _path);

    private FileDescriptor Create(OpenFlags more = OpenFlags.ReadOnly) =>
        FileDescriptor.Open(_path, OpenFlags.ReadWrite | OpenFlags.Create | more, 0b110_000_000);
}
