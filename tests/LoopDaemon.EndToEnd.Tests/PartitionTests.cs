using System.Text.Json;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>Partitions of a bound device: what sfdisk and parted see in the exposed file, and each as a file of its own.</summary>
public sealed class PartitionTests : IClassFixture<SharedLoopd>, IDisposable
{
    private const int Sector = 512;
    private const string FourOfAKind = "label: gpt\nsize=8M\nsize=4M\nsize=2M\nsize=1M\n";
    private const string WithLogical = "label: dos\nsize=8M\nsize=16M,type=5\nsize=4M\nsize=2M\nsize=3M\n";

    private readonly Loopd _loopd;
    private readonly ControlClient _client;

    public PartitionTests(SharedLoopd shared)
    {
        Requirements.SkipUnlessInstalled("sfdisk", "parted");
        _loopd = shared.Fresh();
        _client = _loopd.Connect();
    }

    public void Dispose() => _client?.Dispose();

    [Theory]
    [InlineData(FourOfAKind, "identity")]
    [InlineData(FourOfAKind, "passthrough")]
    [InlineData(WithLogical, "identity")]
    [InlineData(FourOfAKind, "xor")]
    [InlineData(WithLogical, "xor, xor")]
    public void What_sfdisk_and_parted_see_is_shown(string table, string stackName)
    {
        TransferStack stack = TransferStack.Make(_loopd, stackName);
        byte[] whole = File.ReadAllBytes(Partitioned(table));
        string image = _loopd.MakeFile("disk.img", stack.Encode(whole));
        string device = _loopd.Bind(["-P", .. stack.Arguments, image]);
        IReadOnlyList<PartitionStatus> shown = _client.GetStatus(0).Partitions;

        Assert.Equal(BySfdisk(device), shown.Select(partition => (partition.Number, partition.Offset, Extended(partition, table) ? 0 : partition.Size)));
        Assert.Equal(ByParted(device).Order(), shown.Select(partition => (partition.Number, partition.Offset)));
        foreach (PartitionStatus partition in shown)
        {
            Assert.Equal($"{device}p{partition.Number}", partition.Path);
            Assert.Equal(partition.Size, new FileInfo(partition.Path).Length);
            Assert.Equal(whole[(int)partition.Offset..(int)(partition.Offset + partition.Size)], File.ReadAllBytes(partition.Path));
        }
        Assert.Equal(
            ["loop0", .. shown.Select(partition => $"loop0p{partition.Number}")],
            Directory.GetFiles(_loopd.Mount).Select(Path.GetFileName).Where(name => name!.StartsWith("loop0", StringComparison.Ordinal)).Order());
    }

    [Fact]
    public void A_file_system_in_a_partition_is_mounted_and_lies_where_it_belongs()
    {
        Requirements.SkipUnlessKernelLoop();
        string image = Partitioned("label: gpt\nsize=4M\nsize=24M\n", 32 << 20);
        TransferStack stack = TransferStack.Make(_loopd, "xor");
        File.WriteAllBytes(image, stack.Encode(File.ReadAllBytes(image)));
        string device = _loopd.Bind(["-P", .. stack.Arguments, image]);
        Shell.Run("mkfs.ext4", "-q", $"{device}p2").Succeeded();
        using (var directory = new MountDirectory(_loopd))
        {
            Shell.Run("mount", "-o", "loop", $"{device}p2", directory.Path).Succeeded();
            File.WriteAllText(Path.Combine(directory.Path, "greeting"), "hello");
            directory.Unmount();
        }
        string partition = _loopd.MakeFile("partition.img", File.ReadAllBytes($"{device}p2"));
        Shell.Run("e2fsck", "-fn", partition).Succeeded();
        Assert.Equal("hello", Shell.Run("debugfs", "-R", "cat greeting", partition).Succeeded().Output);
        long start = _client.GetStatus(0).Partitions[1].Offset;
        byte[] whole = stack.Decode(File.ReadAllBytes(image));
        Assert.Equal(File.ReadAllBytes(partition), whole[(int)start..((int)start + 24 * 1024 * 1024)]);
    }

    [Fact]
    public void A_write_to_a_partition_and_one_to_the_device_are_seen_by_whoever_opens_the_other_next()
    {
        string device = _loopd.Bind("-P", Partitioned("label: gpt\nsize=4M\n"));
        PartitionStatus partition = _client.GetStatus(0).Partitions[0];
        for (int round = 1; round <= 5; round++)
        {
            byte[] mark = [(byte)round, (byte)(round * 3)];
            Put(partition.Path, 4096, mark);
            Assert.Equal(mark, Get(device, partition.Offset + 4096, mark.Length));
            Array.Reverse(mark);
            Put(device, partition.Offset + 4096, mark);
            Assert.Equal(mark, Get(partition.Path, 4096, mark.Length));
        }
    }

    [Fact]
    public void A_partition_ends_where_it_ends()
    {
        string device = _loopd.Bind("-P", Partitioned("label: gpt\nsize=1M\nsize=1M\n"));
        PartitionStatus first = _client.GetStatus(0).Partitions[0];
        byte[] second = File.ReadAllBytes($"{device}p2");
        using FileDescriptor file = FileDescriptor.Open(first.Path, OpenFlags.ReadWrite);
        Assert.Equal(Errno.ENOSPC, file.WriteAt(first.Size, new byte[1]));
        Assert.Equal(Errno.None, file.ReadAt(first.Size - 100, new byte[200], out int count));
        Assert.Equal(100, count);
        Assert.Equal(Errno.EPERM, SystemCall.Truncate(first.Path, 0));
        Assert.Equal(second, File.ReadAllBytes($"{device}p2"));
    }

    [Fact]
    public void A_partition_has_just_one_name()
    {
        string device = _loopd.Bind("-P", Partitioned("label: gpt\nsize=1M\n"));
        foreach (string name in (string[])["p0", "p01", "p2", "p", "p1p1", "p-1", "p+1", " p1", "p1 ", "P1", "p99999999999999999999"])
            Assert.Equal(Errno.ENOENT, SystemCall.Open(device + name, OpenFlags.ReadOnly));
        Assert.Equal(Errno.None, SystemCall.Open(device + "p1", OpenFlags.ReadOnly));
    }

    [Fact]
    public void Partitions_belong_to_the_binder_with_the_mode_of_the_device()
    {
        ConfigureReply bound = _client.Configure(
            Partitioned("label: gpt\nsize=1M\n"), request => request with { Partscan = true, Mode = 0b110_100_000, Group = 4 });
        Assert.Equal(Errno.None, FileStatus.Of($"{bound.Path}p1", out FileStatus status));
        Assert.Equal((0b110_100_000u, 0u, 4u, FileKind.RegularFile), (status.Permissions, status.Uid, status.Gid, status.Kind));
        _client.Clear(bound.Device);
        _client.Configure(Partitioned("label: gpt\nsize=1M\n"), request => request with { Partscan = true, ReadOnly = true });
        Assert.Equal(Errno.EROFS, SystemCall.Open($"{bound.Path}p1", OpenFlags.ReadWrite));
    }

    [Fact]
    public void Without_partscan_there_are_none_and_it_can_be_turned_on()
    {
        string device = _loopd.Bind(Partitioned(FourOfAKind));
        Assert.False(File.Exists($"{device}p1"));
        Assert.Equal(Errno.EINVAL, Assert.Throws<ControlException>(() => _client.Rescan(0)).Errno);
        Assert.Equal(4, _client.SetStatus(0, new StatusChange { Partscan = true }).Partitions.Count);
        Assert.True(File.Exists($"{device}p4"));
    }

    [Fact]
    public void A_cleared_device_has_no_partitions_left()
    {
        string device = _loopd.Bind("-P", Partitioned(FourOfAKind));
        Assert.True(File.Exists($"{device}p4"));
        _client.Clear(0);
        Assert.False(File.Exists($"{device}p4"));
        string other = Partitioned("label: gpt\nsize=3M\n", name: "other.img");
        _loopd.Bind("-P", other);
        Assert.Equal(3 << 20, new FileInfo($"{device}p1").Length);
        Assert.False(File.Exists($"{device}p2"));
    }

    [Fact]
    public void An_open_partition_keeps_the_device_and_the_partitions()
    {
        string device = _loopd.Bind("-P", Partitioned(FourOfAKind));
        using (FileDescriptor.Open($"{device}p2", OpenFlags.ReadWrite))
        {
            Assert.Equal((1, 1), (_client.GetStatus(0).Openers, _client.GetStatus(0).Partitions[1].Openers));
            Assert.Equal(Errno.EBUSY, Assert.Throws<ControlException>(() => _client.Rescan(0)).Errno);
            Assert.Contains("loop0p2 is open", Assert.Single(_client.SetCapacity(0).Warnings), StringComparison.Ordinal);
            Assert.True(_client.Clear(0).Deferred);
            Assert.Equal(4 << 20, new FileInfo($"{device}p2").Length);
        }
        Loopd.WaitUntil(() => _client.List().Count == 0, "the partition's last close clears the device");
        Loopd.WaitUntil(() => !File.Exists($"{device}p2"), "and the partition is gone", seconds: 2);
    }

    [Fact]
    public void A_table_that_is_written_is_shown_after_the_last_close()
    {
        string device = _loopd.Bind("-P", _loopd.MakeSparseFile("disk.img", 32 << 20));
        Assert.Empty(_client.GetStatus(0).Partitions);
        Shell.Bash($"printf '{FourOfAKind.Replace("\n", "\\n", StringComparison.Ordinal)}' | sfdisk -q {device}");
        Loopd.WaitUntil(() => File.Exists($"{device}p4"), "the new partitions are shown");
        Shell.Bash($"sfdisk -q --delete {device} 4");
        Loopd.WaitUntil(() => !File.Exists($"{device}p4"), "the deleted partition is gone");
        Assert.True(File.Exists($"{device}p3"));
    }

    [Fact]
    public void Rescan_and_set_capacity_read_the_table_anew()
    {
        string image = Partitioned("label: gpt\nsize=4M\n", 24 << 20);
        string device = _loopd.Bind("-P", image);
        File.Copy(Partitioned(FourOfAKind, 24 << 20, "other.img"), image, overwrite: true);
        Assert.False(File.Exists($"{device}p2"));
        Assert.Equal([1, 2], _client.Rescan(0).Partitions.Select(partition => partition.Number).Take(2));
        Assert.True(File.Exists($"{device}p4"));

        Shell.Bash($"truncate -s 48M {image}; sfdisk -q --relocate gpt-bak-std {image}; echo size=12M | sfdisk -q -a {image}");
        SizeReply grown = _client.SetCapacity(0);
        Assert.Equal((48 << 20, 5), (grown.Size, grown.Partitions.Count));
        Assert.Equal(12 << 20, new FileInfo($"{device}p5").Length);
    }

    [Fact]
    public void A_partition_that_moves_while_the_device_is_open_shows_what_lies_there_now()
    {
        byte[] moved = File.ReadAllBytes(Partitioned("label: gpt\nstart=9M, size=4M\n", 24 << 20, "other.img"));
        byte[] data = File.ReadAllBytes(_loopd.MakeFile("data", 16 << 20));
        data.CopyTo(moved, 1 << 20);
        string image = Partitioned("label: gpt\nstart=1M, size=4M\n", 24 << 20);
        using (FileDescriptor file = FileDescriptor.Open(image, OpenFlags.ReadWrite))
            Assert.Equal(Errno.None, file.WriteAt(1 << 20, data));
        string device = _loopd.Bind("-P", "--passthrough=off", image);
        using FileDescriptor open = FileDescriptor.Open(device, OpenFlags.ReadOnly);
        File.WriteAllBytes(image, moved);
        // The next opener takes the cached pages of a file that has long been as it is.
        File.SetLastWriteTimeUtc(image, DateTime.UtcNow.AddHours(-1));
        Assert.Equal(data[..(4 << 20)], File.ReadAllBytes($"{device}p1"));
        Assert.Equal(9 << 20, Assert.Single(_client.Rescan(0).Partitions).Offset);
        Assert.Equal(data[(8 << 20)..(12 << 20)], File.ReadAllBytes($"{device}p1"));
    }

    [Fact]
    public void A_damaged_table_is_a_warning_and_the_device_is_bound()
    {
        string image = Partitioned(FourOfAKind);
        using (FileDescriptor file = FileDescriptor.Open(image, OpenFlags.ReadWrite))
            Assert.Equal(Errno.None, file.WriteAt(Sector + 100, new byte[200]));
        using (FileDescriptor file = FileDescriptor.Open(image, OpenFlags.ReadWrite))
            Assert.Equal(Errno.None, file.WriteAt(2 * Sector, [1, 2, 3, 4]));
        ShellResult bound = _loopd.Control("-f", "--show", "-P", image).Succeeded();
        Assert.Equal(_loopd.Device(0), bound.Output.Trim());
        Assert.StartsWith("loopctl: ", bound.Error, StringComparison.Ordinal);
        Assert.Empty(_client.GetStatus(0).Partitions);
        Shell.Run("cmp", image, _loopd.Device(0)).Succeeded();
    }

    [Fact]
    public void With_sectors_of_4096_bytes_the_table_is_found_where_it_lies_then()
    {
        Requirements.SkipUnlessKernelLoop();
        string image = _loopd.MakeSparseFile("disk.img", 32 << 20);
        using (var kernel = new KernelLoopDevice(image, "-b", "4096"))
            Shell.Bash($"printf 'label: gpt\\nsize=4M\\nsize=8M\\n' | sfdisk -q --no-reread --no-tell-kernel {kernel.Path}; sync");
        string device = _loopd.Bind("-P", "-b", "4096", image);
        Assert.Equal([4 << 20, 8 << 20], _client.GetStatus(0).Partitions.Select(partition => partition.Size));
        _client.SetSectorSize(0, 512);
        Assert.Empty(_client.GetStatus(0).Partitions);
        _client.SetSectorSize(0, 4096);
        Assert.Equal(8 << 20, new FileInfo($"{device}p2").Length);
    }

    private string Partitioned(string table, long bytes = 64 << 20, string name = "disk.img")
    {
        string image = _loopd.MakeFile(name, bytes);
        // Without the noise's chance to be something.
        using (FileDescriptor file = FileDescriptor.Open(image, OpenFlags.ReadWrite))
        {
            Assert.Equal(Errno.None, file.WriteAt(0, new byte[1 << 16]));
            Assert.Equal(Errno.None, file.WriteAt(bytes - (1 << 16), new byte[1 << 16]));
        }
        string script = _loopd.MakeFile("table", System.Text.Encoding.ASCII.GetBytes(table));
        Shell.Bash($"sfdisk -q --wipe never {image} < {script}");
        return image;
    }

    /// <summary>The kernel shows 1 KiB of an extended partition, sfdisk all of it.</summary>
    private static bool Extended(PartitionStatus partition, string table) => table == WithLogical && partition.Number == 2;

    private static IEnumerable<(int, long, long)> BySfdisk(string device)
    {
        using var json = JsonDocument.Parse(Shell.Run("sfdisk", "--json", device).Succeeded().Output);
        return [.. json.RootElement.GetProperty("partitiontable").GetProperty("partitions").EnumerateArray().Select(partition =>
        {
            string node = partition.GetProperty("node").GetString()!;
            bool extended = partition.GetProperty("type").GetString() == "5";
            return (NumberOf(node, device), partition.GetProperty("start").GetInt64() * Sector, extended ? 0 : partition.GetProperty("size").GetInt64() * Sector);
        })];
    }

    private static int NumberOf(string node, string device) =>
        int.Parse(node[device.Length..].TrimStart('p'), System.Globalization.CultureInfo.InvariantCulture);

    private static IEnumerable<(int, long)> ByParted(string device) =>
        Shell.Run("parted", "-s", "-m", device, "unit", "B", "print").Succeeded().Output.Split('\n')
            .Select(line => line.Split(':'))
            .Where(fields => int.TryParse(fields[0], out _))
            .Select(fields => (
                int.Parse(fields[0], System.Globalization.CultureInfo.InvariantCulture),
                long.Parse(fields[1].TrimEnd('B'), System.Globalization.CultureInfo.InvariantCulture)));

    private static void Put(string path, long offset, byte[] bytes)
    {
        using FileDescriptor file = FileDescriptor.Open(path, OpenFlags.ReadWrite);
        Assert.Equal(Errno.None, file.WriteAt(offset, bytes));
    }

    private static byte[] Get(string path, long offset, int count)
    {
        byte[] bytes = new byte[count];
        using FileDescriptor file = FileDescriptor.Open(path, OpenFlags.ReadOnly);
        Assert.Equal(Errno.None, file.ReadAt(offset, bytes, out _));
        return bytes;
    }
}
