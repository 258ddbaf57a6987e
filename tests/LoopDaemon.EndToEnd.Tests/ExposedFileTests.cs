using System.Diagnostics;
using System.Globalization;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>The devices' files under the system calls of anybody who comes by.</summary>
public sealed class ExposedFileTests(SharedLoopd shared) : IClassFixture<SharedLoopd>
{
    private const int Size = 1 << 20;
    private const uint OwnerReadWrite = 0b110_000_000, OwnerRead = 0b100_000_000;

    private readonly Loopd _loopd = shared.Fresh();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_write_at_or_past_the_end_is_ENOSPC(bool direct)
    {
        string device = Bind();
        using FileDescriptor file = Open(device, direct);
        using var page = PageMemory.Allocate(4096);
        Assert.Equal(Errno.ENOSPC, file.WriteAt(Size, page.Span(0, 512)));
        Assert.Equal(Errno.ENOSPC, file.WriteAt(Size + (1 << 30), page.Span(0, 512)));
        AssertSize(device, Size);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_write_across_the_end_is_short(bool direct)
    {
        string image = _loopd.MakeFile("disk.img", Size + 4096);
        string device = _loopd.Bind(image, "--sizelimit", "1M");
        using FileDescriptor file = Open(device, direct);
        using var pages = PageMemory.Allocate(8192);
        pages.Span(0, 8192).Fill(0xEE);
        byte[] behind = File.ReadAllBytes(image)[Size..];
        Assert.Equal(Errno.None, SystemCall.SeekTo(file, Size - 4096));
        Assert.Equal(Errno.None, file.Write(pages.Span(0, 8192), out int count));
        Assert.Equal(4096, count);
        Assert.Equal(Errno.ENOSPC, file.Write(pages.Span(0, 4096), out _));
        AssertSize(device, Size);
        byte[] now = File.ReadAllBytes(image);
        Assert.Equal(-1, now.AsSpan(Size - 4096, 4096).IndexOfAnyExcept((byte)0xEE));
        Assert.Equal(behind, now[Size..]);
    }

    [Fact]
    public void A_read_at_or_past_the_end_brings_nothing()
    {
        using FileDescriptor file = FileDescriptor.Open(Bind(), OpenFlags.ReadOnly);
        Assert.Equal(Errno.None, file.ReadAt(Size, new byte[512], out int count));
        Assert.Equal(0, count);
        Assert.Equal(Errno.None, file.ReadAt(Size - 100, new byte[512], out count));
        Assert.Equal(100, count);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(Size - 1)]
    [InlineData(Size + 1)]
    public void Another_size_is_EPERM(long length)
    {
        string device = Bind();
        Assert.Equal(Errno.EPERM, SystemCall.Truncate(device, length));
        using (FileDescriptor file = FileDescriptor.Open(device, OpenFlags.ReadWrite))
            Assert.Equal(Errno.EPERM, file.SetLength(length));
        AssertSize(device, Size);
    }

    [Fact]
    public void The_same_size_is_taken()
    {
        string device = Bind();
        Assert.Equal(Errno.None, SystemCall.Truncate(device, Size));
        using FileDescriptor file = FileDescriptor.Open(device, OpenFlags.ReadWrite);
        Assert.Equal(Errno.None, file.SetLength(Size));
        AssertSize(device, Size);
    }

    [Fact]
    public void No_name_is_made_removed_or_changed()
    {
        string device = Bind(), newName = Path.Combine(_loopd.Mount, "new");
        Assert.Equal(Errno.EPERM, SystemCall.Open(newName, OpenFlags.ReadWrite | OpenFlags.Create));
        Assert.Equal(Errno.EPERM, SystemCall.MakeNode(newName));
        Assert.Equal(Errno.EPERM, SystemCall.MakeFifo(newName));
        Assert.Equal(Errno.EPERM, SystemCall.MakeDirectory(newName));
        Assert.Equal(Errno.EPERM, SystemCall.SymbolicLink(device, newName));
        Assert.Equal(Errno.EPERM, SystemCall.Link(device, newName));
        Assert.Equal(Errno.EPERM, SystemCall.Rename(device, newName));
        Assert.Equal(Errno.EPERM, SystemCall.Rename(device, _loopd.Device(5)));
        Assert.Equal(Errno.EPERM, SystemCall.Unlink(device));
        Assert.Equal(Errno.ENOTDIR, SystemCall.RemoveDirectory(device));
        AssertNames(8);
    }

    [Fact]
    public void Mode_and_owner_stay_and_touch_does_no_harm()
    {
        string device = Bind();
        Assert.Equal(Errno.EPERM, SystemCall.ChangeMode(device, 0b110_110_110));
        Assert.Equal(Errno.EPERM, SystemCall.ChangeMode(_loopd.Mount, 0b111_111_111));
        Assert.Equal(Errno.EPERM, SystemCall.ChangeOwner(device, AnotherUser.Id, AnotherUser.Id));
        Assert.Equal(Errno.None, SystemCall.ChangeMode(device, OwnerReadWrite));
        Shell.Run("touch", device).Succeeded();
        Shell.Run("touch", "-d", "2001-02-03", device).Succeeded();
        FileStatus status = Status(device);
        Assert.Equal((OwnerReadWrite, 0u, 0u, (long)Size), (status.Permissions, status.Uid, status.Gid, status.SizeBytes));
    }

    [Fact]
    public void A_read_only_device_is_EROFS_to_root_who_would_write()
    {
        string image = _loopd.MakeFile("disk.img", Size);
        string device = _loopd.Bind("-r", image);
        Assert.Equal(OwnerRead, Status(device).Permissions);
        Assert.Equal(Errno.EROFS, SystemCall.Open(device, OpenFlags.ReadWrite));
        Assert.Equal(Errno.EROFS, SystemCall.Open(device, OpenFlags.WriteOnly));
        Assert.Equal(Errno.EROFS, SystemCall.Open(device, OpenFlags.WriteOnly | OpenFlags.Truncate));
        AssertSize(device, Size);
        Shell.Run("cmp", image, device).Succeeded();
    }

    [Fact]
    public void An_unbound_device_is_an_empty_file_that_nobody_may_open()
    {
        FileStatus status = Status(_loopd.Device(3));
        Assert.Equal((FileKind.RegularFile, 0L, 0u), (status.Kind, status.SizeBytes, status.Permissions));
        foreach (OpenFlags flags in (OpenFlags[])[OpenFlags.ReadOnly, OpenFlags.WriteOnly, OpenFlags.ReadWrite, OpenFlags.WriteOnly | OpenFlags.Truncate, FileDescriptor.Direct])
            Assert.Equal(Errno.ENXIO, SystemCall.Open(_loopd.Device(3), flags));
        Assert.Equal(Errno.EPERM, SystemCall.Truncate(_loopd.Device(3), 512));
    }

    [Fact]
    public void A_bound_device_is_its_binders_alone()
    {
        AnotherUser.SkipUnlessPossible();
        string device = Bind();
        FileStatus status = Status(device);
        Assert.Equal((FileKind.RegularFile, OwnerReadWrite, 0u, 0u), (status.Kind, status.Permissions, status.Uid, status.Gid));
        Assert.Contains("Permission denied", AnotherUser.Run("cat", device).Error, StringComparison.Ordinal);
        Assert.Contains("Permission denied", AnotherUser.Run("dd", "if=/dev/zero", $"of={device}", "count=1", "conv=notrunc").Error, StringComparison.Ordinal);
        Assert.Contains("Permission denied", AnotherUser.Run("cat", _loopd.Device(5)).Error, StringComparison.Ordinal);
        Assert.Contains($"{Size}", AnotherUser.Run("stat", "-c", "%s", device).Succeeded().Output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_read_only_device_is_EACCES_to_another_user_who_would_write()
    {
        AnotherUser.SkipUnlessPossible();
        string device = _loopd.Bind("-r", _loopd.MakeFile("disk.img", Size));
        Assert.Contains("Permission denied", AnotherUser.Run("dd", "if=/dev/zero", $"of={device}", "count=1", "conv=notrunc").Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Dd_that_truncates_writes_in_place_and_keeps_the_size()
    {
        string image = _loopd.MakeFile("disk.img", Size);
        string device = _loopd.Bind(image);
        string data = _loopd.MakeFile("data", 8192, seed: 2);
        byte[] expected = File.ReadAllBytes(image);
        File.ReadAllBytes(data).CopyTo(expected, 0);
        Shell.Run("dd", $"if={data}", $"of={device}", "bs=4096").Succeeded();
        AssertSize(device, Size);
        Assert.Equal(expected, File.ReadAllBytes(device));
        Assert.Equal(expected, File.ReadAllBytes(image));
    }

    [Fact]
    public void A_whole_image_is_copied_onto_a_device()
    {
        string image = _loopd.MakeFile("disk.img", Size);
        string device = _loopd.Bind(image);
        string other = _loopd.MakeFile("other.img", Size, seed: 2);
        Shell.Run("cp", other, device).Succeeded();
        AssertSize(device, Size);
        Shell.Run("cmp", other, device).Succeeded();
        Shell.Run("cmp", other, image).Succeeded();
    }

    [Fact]
    public void Truncating_what_somebody_has_open_for_direct_io_is_EBUSY_and_harms_nothing()
    {
        string image = _loopd.MakeFile("disk.img", Size);
        string device = _loopd.Bind(image);
        using FileDescriptor direct = Open(device, direct: true);
        Assert.Equal(Errno.EBUSY, SystemCall.Open(device, OpenFlags.WriteOnly | OpenFlags.Truncate));
        AssertSize(device, Size);
        using var page = PageMemory.Allocate(4096);
        Assert.Equal(Errno.None, direct.ReadAt(Size - 4096, page.Span(0, 4096), out int count));
        Assert.Equal(4096, count);
        Assert.Equal(File.ReadAllBytes(image).AsSpan(Size - 4096), page.Span(0, 4096));
        Assert.Equal(1, Assert.Single(_loopd.List()).Openers);
    }

    [Fact]
    public void Sizes_are_right_at_once_after_bind_and_clear()
    {
        using ControlClient client = _loopd.Connect();
        string device = _loopd.Device(0);
        for (int round = 1; round <= 50; round++)
        {
            string image = _loopd.MakeSparseFile("disk.img", round * 4096);
            using FileDescriptor file = FileDescriptor.Open(image, OpenFlags.ReadWrite);
            client.Configure(new ConfigureRequest { BackingFile = file, Device = 0 });
            AssertSize(device, round * 4096);
            Assert.Equal(OwnerReadWrite, Status(device).Permissions);
            client.Clear(0);
            AssertSize(device, 0);
            Assert.Equal(0u, Status(device).Permissions);
        }
    }

    [Fact]
    public void A_directory_of_500_devices_holds_each_of_them_once()
    {
        using var loopd = new Loopd("--max-loop", "500");
        AssertNames(500, loopd);
        Assert.Equal("501", Shell.Bash($"ls -la '{loopd.Mount}' | grep -c -E 'loop[0-9]+$|^total'").Trim());
        loopd.Control("loop499", loopd.MakeFile("disk.img", 4096)).Succeeded();
        AssertSize(loopd.Device(499), 4096);
        AssertNames(500, loopd);
    }

    [Theory]
    [InlineData("loop00")]
    [InlineData("loop01")]
    [InlineData("loop-1")]
    [InlineData("loop+1")]
    [InlineData("loop0x")]
    [InlineData("loop0 ")]
    [InlineData("loop8")]
    [InlineData("loop4294967296")]
    [InlineData("loop99999999999999999999")]
    [InlineData("LOOP0")]
    [InlineData("loop")]
    [InlineData("0")]
    [InlineData("loop0p1")]
    public void A_name_that_is_no_devices_is_ENOENT(string name) =>
        Assert.Equal(Errno.ENOENT, FileStatus.Of(Path.Combine(_loopd.Mount, name), out _));

    [Fact]
    public void A_path_through_a_device_is_ENOTDIR() =>
        Assert.Equal(Errno.ENOTDIR, FileStatus.Of(_loopd.Device(0) + "/x", out _));

    [Fact]
    public void Data_and_holes_are_sought_as_in_any_file()
    {
        string device = _loopd.Bind(_loopd.MakeSparseFile("disk.img", Size));
        using FileDescriptor file = FileDescriptor.Open(device, OpenFlags.ReadWrite);
        file.WriteAt(512 << 10, new byte[4096]);
        Assert.Equal(Errno.None, file.Seek(SeekTarget.Data, 0, out long found));
        Assert.Equal(512 << 10, found);
        Assert.Equal(Errno.None, file.Seek(SeekTarget.Hole, 512 << 10, out found));
        Assert.Equal((512 << 10) + 4096, found);
        Assert.Equal(Errno.ENXIO, file.Seek(SeekTarget.Data, (512 << 10) + 4096, out _));
        Assert.Equal(Errno.None, file.Seek(SeekTarget.Hole, Size - 1, out found));
        Assert.InRange(found, Size - 1, Size);
        foreach (SeekTarget target in (SeekTarget[])[SeekTarget.Data, SeekTarget.Hole])
        {
            Assert.Equal(Errno.ENXIO, file.Seek(target, Size, out _));
            Assert.Equal(Errno.ENXIO, file.Seek(target, Size + 1, out _));
        }
    }

    [Theory]
    [InlineData(AllocateMode.Allocate, 0, 4096)]
    [InlineData(AllocateMode.KeepSize, 0, 4096)]
    [InlineData(AllocateMode.Allocate, Size, 4096)]
    [InlineData((AllocateMode)8, 0, 4096)]
    [InlineData((AllocateMode)0x20, 0, 4096)]
    public void Space_cannot_be_reserved_collapsed_or_inserted(AllocateMode mode, long offset, long length)
    {
        string device = Bind();
        using FileDescriptor file = FileDescriptor.Open(device, OpenFlags.ReadWrite);
        Assert.Equal(Errno.EOPNOTSUPP, file.Allocate(mode, offset, length));
        AssertSize(device, Size);
    }

    [Fact]
    public void Zeros_past_the_end_are_refused_where_they_would_make_the_file_longer()
    {
        string device = Bind();
        using FileDescriptor file = FileDescriptor.Open(device, OpenFlags.ReadWrite);
        Assert.Equal(Errno.ENOSPC, file.Allocate(AllocateMode.ZeroRange, Size - 4096, 8192));
        Assert.Equal(Errno.None, file.Allocate(AllocateMode.ZeroRange, Size - 4096, 4096));
        AssertSize(device, Size);
        byte[] end = new byte[4096];
        Assert.Equal(Errno.None, file.ReadAt(Size - 4096, end, out int count));
        Assert.Equal(4096, count);
        Assert.Equal(-1, end.AsSpan().IndexOfAnyExcept((byte)0));
    }

    [Fact]
    public void The_file_system_tells_its_numbers()
    {
        Assert.Equal(Errno.None, SystemCall.Statistics(_loopd.Mount, out var statistics));
        Assert.Equal((8UL, 0UL, 255UL), (statistics.f_files, statistics.f_bfree, statistics.f_namemax));
        Shell.Run("df", _loopd.Mount).Succeeded();
    }

    [Fact]
    public void Extended_attributes_are_not_supported()
    {
        string device = Bind();
        Assert.Equal(Errno.EOPNOTSUPP, SystemCall.SetAttribute(device, "user.test"));
        Assert.Equal(Errno.EOPNOTSUPP, SystemCall.GetAttribute(device, "user.test"));
        Assert.Equal(Errno.EOPNOTSUPP, SystemCall.RemoveAttribute(device, "user.test"));
        Shell.Run("ls", "-la", _loopd.Mount).Succeeded();
    }

    [Fact]
    public async Task Sixteen_who_list_the_directory_see_every_device_while_binds_go_on()
    {
        string image = _loopd.MakeSparseFile("disk.img", 8192);
        string stop = _loopd.File("stop");
        Task<ShellResult>[] readers = [.. Enumerable.Range(0, 16).Select(_ => Task.Run(() => Shell.Run("bash", "-c",
            $"while ls -la '{_loopd.Mount}'; do [ -e '{stop}' ] && exit 0; done; exit 1")))];
        using (ControlClient client = _loopd.Connect())
        using (FileDescriptor file = FileDescriptor.Open(image, OpenFlags.ReadWrite))
        {
            for (var clock = Stopwatch.StartNew(); clock.Elapsed < TimeSpan.FromSeconds(3);)
            {
                int device = client.Configure(new ConfigureRequest { BackingFile = file }).Device;
                Assert.Equal(0, device);
                client.Clear(device);
            }
        }
        File.WriteAllText(stop, "");
        foreach (Task<ShellResult> reader in readers)
        {
            ShellResult listed = (await reader).Succeeded();
            string[] lines = [.. listed.Output.Split('\n').Where(line => line.Contains(" loop", StringComparison.Ordinal))];
            Assert.NotEmpty(lines);
            Assert.Equal(0, lines.Length % 8);
            Assert.DoesNotContain(lines, line => line.Contains('?', StringComparison.Ordinal));
            // A bound device has its size and mode, an unbound one has neither.
            Assert.All(lines, line => Assert.Matches("^(----------.* 0|-rw-------.* 8192) ", line));
        }
        File.Delete(stop);
    }

    private static FileDescriptor Open(string device, bool direct) =>
        FileDescriptor.Open(device, direct ? OpenFlags.ReadWrite | FileDescriptor.Direct : OpenFlags.ReadWrite);

    private static FileStatus Status(string path)
    {
        Assert.Equal(Errno.None, FileStatus.Of(path, out FileStatus status));
        return status;
    }

    private static void AssertSize(string path, long bytes) => Assert.Equal(bytes, Status(path).SizeBytes);

    /// <summary>Served by the daemon; what the kernel does with a file that is passed through is not ours.</summary>
    private string Bind() => _loopd.Bind("--passthrough=off", _loopd.MakeFile("disk.img", Size));

    private void AssertNames(int count, Loopd? loopd = null) => Assert.Equal(
        Enumerable.Range(0, count).Select(i => string.Create(CultureInfo.InvariantCulture, $"loop{i}")),
        Directory.EnumerateFileSystemEntries((loopd ?? _loopd).Mount).Select(path => Path.GetFileName(path)));
}
