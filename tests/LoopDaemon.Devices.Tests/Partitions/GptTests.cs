using LoopDaemon.Linux;
using LoopDaemon.Storage;
using LoopDaemon.Transfers;

namespace LoopDaemon.Devices.Tests;

/// <summary>GUID partition tables that sfdisk, sgdisk and parted made.</summary>
public sealed class GptTests
{
    private const int PrimaryHeader = 512, PrimaryEntries = 1024;
    private const string TwoPartitions = "label: gpt\n1: size=1M\n3: size=4M\n";
    private const string RepairHint = "'sgdisk -e' or 'echo write | sfdisk' on the device repairs it";

    [Fact]
    public void All_128_partitions_of_a_table_are_found()
    {
        using var image = new DiskImage(200 * DiskImage.MiB);
        image.Sfdisk("label: gpt\n" + string.Concat(Enumerable.Repeat("size=128KiB\n", 127)) + ";\n");
        Assert.Equal(128, CheckIntact(image).Length);
    }

    [Fact]
    public void Gaps_in_the_numbers_stay()
    {
        using var image = new DiskImage();
        image.Sgdisk("-n", "2:0:+1M", "-n", "7:0:+3M", "-n", "100:0:0").Sgdisk("-n", "50:0:0", "-d", "2");
        Assert.Equal([7, 50, 100], CheckIntact(image).Select(partition => partition.Number));
    }

    [Fact]
    public void Numbers_need_not_follow_the_order_on_the_device()
    {
        using var image = new DiskImage();
        image.Sgdisk("-n", "3:2048:+1M", "-n", "1:40M:+1M", "-n", "2:20M:+1M");
        Assert.Equal([40L << 20, 20L << 20, 1L << 20], CheckIntact(image).Select(partition => partition.OffsetBytes));
    }

    [Fact]
    public void A_table_made_by_parted_is_read()
    {
        using var image = new DiskImage();
        image.Parted("mklabel", "gpt", "mkpart", "a", "ext4", "1MiB", "10MiB", "mkpart", "b", "34s", "2047s");
        Assert.Equal(2, CheckIntact(image).Length);
    }

    [Fact]
    public void Partitions_past_2_TiB_are_found()
    {
        using var image = new DiskImage(8L << 40);
        image.Sfdisk("label: gpt\n,3T\n,\n");
        Assert.Equal(3L << 40, CheckIntact(image)[0].LengthBytes);
    }

    [Fact]
    public void A_table_without_partitions_is_one()
    {
        using var image = new DiskImage();
        Assert.Empty(CheckIntact(image.Sfdisk("label: gpt\n")));
    }

    [Fact]
    public void A_table_with_room_for_more_than_255_partitions_shows_the_first_255()
    {
        using var image = new DiskImage();
        string[] partitions = [.. Enumerable.Range(1, 260).SelectMany(i => new[] { "-n", $"{i}:0:+64K" })];
        image.Sgdisk("--resize-table=512", "-a", "8").Sgdisk(["-a", "8", .. partitions]);
        PartitionScan scan = image.Scan();
        Assert.Equal(DiskImage.AskSfdisk(image.Path).Take(255), scan.Partitions);
        Assert.Equal(["loop0 has partitions beyond loop0p255, which are left out"], scan.Warnings);
    }

    [Fact]
    public void Behind_a_hybrid_MBR_the_GPT_counts()
    {
        using var image = new DiskImage();
        image.Sgdisk("-n", "1:0:+1M", "-n", "2:0:+1M", "-n", "3:0:+4M").Sgdisk("-h", "1:3");
        Assert.Equal(3, CheckIntact(image).Length);
    }

    [Fact]
    public void The_size_in_the_protective_MBR_does_not_matter()
    {
        using var image = new DiskImage();
        image.Sfdisk(TwoPartitions).Patch(446 + 12, 1, 0, 0, 0);
        Assert.Equal(2, CheckIntact(image).Length);
    }

    [Fact]
    public void A_table_is_read_through_a_transfer()
    {
        byte[] key = [.. Enumerable.Range(1, 32).Select(i => (byte)(i * 37))];
        using var plain = new DiskImage(2 * DiskImage.MiB);
        using var encoded = new DiskImage(plain.Sgdisk("-n", "1:0:+512K", "-n", "4:0:0").Contents);
        byte[] contents = plain.Contents;
        using var xor = new XorTransfer(key);
        xor.Encode(contents, contents, 0);
        encoded.Patch(0, contents);
        Assert.Equal(PartitionScheme.None, encoded.Scan().Scheme);
        using var store = new TransferStore(encoded.Open(), [new XorTransfer(key)], firstSector: 0, allowDiscards: false);
        PartitionScan scan = PartitionTable.Read(store, 512, "loop0");
        Assert.Equal(DiskImage.AskSfdisk(plain.Path), scan.Partitions);
        Assert.Equal(PartitionScheme.Gpt, scan.Scheme);
    }

    /// <summary>A file opened so refuses reads into memory, or of ranges, that are not aligned.</summary>
    [Fact]
    public void A_table_is_read_from_a_file_opened_with_O_DIRECT()
    {
        using var image = new DiskImage();
        image.Sfdisk(TwoPartitions);
        FileStore store;
        try
        {
            store = image.Open(FileDescriptor.Direct);
        }
        catch (LinuxException refused) when (refused.Errno == Errno.EINVAL)
        {
            Assert.Skip("needs a file system with O_DIRECT");
            throw;
        }
        using (store)
            Assert.Equal(DiskImage.AskSfdisk(image.Path), PartitionTable.Read(store, 512, "loop0").Partitions);
    }

    [Theory]
    [InlineData(1024)]
    [InlineData(2048)]
    [InlineData(4096)]
    public void A_table_counts_in_the_sectors_of_the_device(int sectorBytes)
    {
        using var image = new DiskImage();
        using (var loop = new KernelLoop(image.Path, sectorBytes))
        {
            Shell.Run("sgdisk", "", "-n", "1:0:+1M", "-n", "5:40M:0", loop.Path);
            Partition[] partitions = DiskImage.AskSfdisk(loop.Path);
            Assert.Equal([1 << 20, 40 << 20], partitions.Select(partition => partition.OffsetBytes));
            Assert.Equal(partitions, DiskImage.AskParted(loop.Path));
            CheckIntact(image.Scan(sectorBytes), partitions);
        }
        CheckDamaged(image, 512, $"the GPT of loop0 is one for sectors of {sectorBytes} bytes, not 512, so no partitions are shown; bind the device with sectors of that size");
    }

    [Fact]
    public void A_table_for_small_sectors_on_a_device_with_large_ones_is_told()
    {
        using var image = new DiskImage();
        image.Sfdisk(TwoPartitions);
        CheckDamaged(image, 4096, "the GPT of loop0 is one for sectors of 512 bytes, not 4096, so no partitions are shown; bind the device with sectors of that size");
    }

    [Theory]
    [InlineData(PrimaryHeader, "has no signature")]
    [InlineData(PrimaryHeader + 13, "has a header of 65372 bytes")]
    [InlineData(PrimaryHeader + 16, "has a wrong checksum of its header")]
    [InlineData(PrimaryHeader + 60, "has a wrong checksum of its header")]
    [InlineData(PrimaryEntries + 60, "has a wrong checksum of its entries")]
    public void A_damaged_primary_shows_nothing_and_can_be_repaired_from_the_backup(int damagedByte, string damage)
    {
        foreach (bool bySgdisk in (bool[])[true, false])
        {
            using var image = new DiskImage();
            image.Sfdisk(TwoPartitions);
            Partition[] partitions = CheckIntact(image);
            image.Flip(damagedByte);
            CheckDamaged(image, 512,
                $"the primary GPT of loop0 {damage}, so no partitions are shown; its backup in sector 131071 looks intact; {RepairHint}");
            Repair(image, bySgdisk);
            Assert.Equal(partitions, CheckIntact(image));
        }
    }

    [Theory]
    [InlineData(-512, "has no signature")]
    [InlineData(-512 + 60, "has a wrong checksum of its header")]
    [InlineData(-512 - 128 * 128, "has a wrong checksum of its entries")]
    public void A_damaged_backup_is_told_and_can_be_repaired(int damagedByte, string damage)
    {
        foreach (bool bySgdisk in (bool[])[true, false])
        {
            using var image = new DiskImage();
            image.Sfdisk(TwoPartitions);
            Partition[] partitions = CheckIntact(image);
            image.Flip((64 << 20) + damagedByte);
            CheckWarned(image, partitions, $"the backup GPT of loop0 in sector 131071 {damage}; the primary GPT is intact and used; {RepairHint}");
            Repair(image, bySgdisk);
            Assert.Equal(partitions, CheckIntact(image));
        }
    }

    [Fact]
    public void A_damaged_table_for_large_sectors_can_be_repaired_on_a_kernel_loop_device()
    {
        using var image = new DiskImage();
        using var loop = new KernelLoop(image.Path, 4096);
        Shell.Run("sgdisk", "", "-n", "1:0:+1M", "-n", "5:40M:0", loop.Path);
        Partition[] partitions = DiskImage.AskSfdisk(loop.Path);
        image.Flip(4096 + 60);
        CheckDamaged(image, 4096, "the primary GPT of loop0 has a wrong checksum of its header, so no partitions are shown; its backup in sector 16383 looks intact; 'sgdisk -e' repairs it, on a kernel loop device with such sectors ('losetup --sector-size 4096')");
        Shell.Run("sgdisk", "", "-e", loop.Path);
        CheckIntact(image.Scan(4096), partitions);
    }

    [Fact]
    public void A_table_of_which_both_copies_are_damaged_shows_nothing()
    {
        using var image = new DiskImage();
        image.Sfdisk(TwoPartitions);
        image.Flip(PrimaryHeader);
        image.Flip((64 << 20) - 512 + 60);
        CheckDamaged(image, 512, "the primary GPT of loop0 has no signature, and its backup in sector 131071 has a wrong checksum of its header, so no partitions are shown");
    }

    [Fact]
    public void A_backup_that_an_image_made_longer_left_behind_is_told_and_can_be_moved()
    {
        using var image = new DiskImage();
        image.Sfdisk(TwoPartitions);
        Partition[] partitions = CheckIntact(image);
        image.Resize(80 << 20);
        CheckWarned(image, partitions, $"the backup GPT of loop0 in sector 131071 is not at the end of the device, which ends in sector 163839; {RepairHint}");
        Repair(image, bySgdisk: true);
        Assert.Equal(partitions, CheckIntact(image));
    }

    /// <summary>As in the kernel: the data is no longer all there.</summary>
    [Fact]
    public void A_table_on_an_image_cut_short_shows_nothing()
    {
        using var image = new DiskImage();
        image.Sfdisk(TwoPartitions).Resize(32 << 20);
        CheckDamaged(image, 512, "the primary GPT of loop0 is for a larger device (its last usable sector is 131038, of 65536 that there are), and its backup in sector 65535 has no signature, so no partitions are shown");
    }

    [Fact]
    public void Copies_that_differ_are_told()
    {
        using var image = new DiskImage();
        image.Sfdisk(TwoPartitions);
        byte[] before = image.Contents;
        image.Sfdisk("2: size=1M", "--append");
        // The second generation's primary with the first one's backup, which is intact by itself.
        image.Patch((64 << 20) - 33 * 512, before.AsSpan(^(33 * 512)));
        Partition[] partitions = DiskImage.AskSfdisk(image.Path);
        Assert.Equal(3, partitions.Length);
        CheckWarned(image, partitions, $"the backup GPT of loop0 in sector 131071 differs from the primary GPT, which is used; {RepairHint}");
        Repair(image, bySgdisk: true);
        Assert.Equal(partitions, CheckIntact(image));
    }

    [Fact]
    public void Entries_that_make_no_sense_are_left_out_with_a_warning()
    {
        using var image = new DiskImage(8 * DiskImage.MiB);
        image.Sfdisk("label: gpt\n,1M\n,1M\n,1M\n,1M\n");
        Partition[] partitions = CheckIntact(image);
        var forged = new GptForge(image.Contents, 512);
        forged.SetEntry(1, first: 5000, last: 4999);
        forged.SetEntry(2, first: 16384, last: 16385);
        forged.SetEntry(4, first: 8192, last: ulong.MaxValue);
        using var changed = new DiskImage(forged.Seal());
        CheckWarned(changed, [partitions[2]],
            "loop0p1 ends in sector 4999, before it begins in sector 5000, and is left out",
            "loop0p2 (sectors 16384 to 16385) does not lie within loop0, which ends in sector 16383, and is left out",
            "loop0p4 (sectors 8192 to 18446744073709551615) does not lie within loop0, which ends in sector 16383, and is left out");
    }

    [Theory]
    [InlineData(8, 0x1_0000UL | 91UL << 32, "has a header of 91 bytes")]
    [InlineData(24, 2UL, "claims to be in sector 2")]
    [InlineData(40, 16351UL, "has no usable sectors (16351 to 16350)")]
    [InlineData(48, 16384UL, "is for a larger device (its last usable sector is 16384, of 16384 that there are)")]
    [InlineData(72, 16384UL, "has entries past the end of the device")]
    [InlineData(72, 16383UL, "has entries past the end of the device")]
    [InlineData(72, ulong.MaxValue, "has entries past the end of the device")]
    [InlineData(80, 128UL | 256UL << 32, "has entries of 256 bytes instead of 128")]
    [InlineData(80, 0UL | 128UL << 32, "has 0 entries")]
    [InlineData(80, 32769UL | 128UL << 32, "has 32769 entries")]
    [InlineData(80, uint.MaxValue | 128UL << 32, "has 4294967295 entries")]
    [InlineData(80, 32768UL | 128UL << 32, "has a wrong checksum of its entries")]
    public void A_header_that_makes_no_sense_is_damaged_though_its_checksum_is_right(int field, ulong value, string damage)
    {
        using var image = new DiskImage(8 * DiskImage.MiB);
        var forged = new GptForge(image.Sfdisk(TwoPartitions).Contents, 512);
        forged.SetHeader(field, value);
        using var changed = new DiskImage(forged.SealHeader());
        CheckDamaged(changed, 512,
            $"the primary GPT of loop0 {damage}, so no partitions are shown; its backup in sector 16383 looks intact; {RepairHint}");
    }

    [Fact]
    public void A_protective_entry_elsewhere_shows_neither_a_GPT_nor_itself()
    {
        using var image = new DiskImage();
        image.Sfdisk(TwoPartitions).Patch(446 + 8, 2);
        CheckDamaged(image, 512, "the protective MBR of loop0 is damaged: its entry of type 0xEE does not begin in sector 1, so neither it nor a GPT is used");
    }

    [Fact]
    public void A_GPT_without_a_protective_MBR_is_none()
    {
        using var image = new DiskImage();
        image.Sfdisk(TwoPartitions).Patch(446, new byte[66]);
        PartitionScan scan = image.Scan();
        Assert.Equal(PartitionScheme.None, scan.Scheme);
        Assert.Empty(scan.Warnings);
    }

    [Theory]
    [InlineData(512, "cannot be read (EIO)")]
    [InlineData(1024, "has entries that cannot be read (EIO)")]
    public void What_cannot_be_read_shows_nothing(long readableBytes, string damage)
    {
        using var image = new DiskImage();
        image.Sfdisk(TwoPartitions);
        using FileStore store = image.Open();
        image.Resize(readableBytes);
        PartitionScan scan = PartitionTable.Read(store, 512, "loop0");
        Assert.Empty(scan.Partitions);
        Assert.Equal([$"the primary GPT of loop0 {damage}, and its backup in sector 131071 cannot be read (EIO), so no partitions are shown"], scan.Warnings);
    }

    [Fact]
    public void A_backup_that_cannot_be_read_leaves_the_partitions_of_the_primary()
    {
        using var image = new DiskImage();
        Partition[] partitions = CheckIntact(image.Sfdisk(TwoPartitions));
        using FileStore store = image.Open();
        image.Resize(32 << 20);
        PartitionScan scan = PartitionTable.Read(store, 512, "loop0");
        Assert.Equal(partitions, scan.Partitions);
        Assert.Equal([$"the backup GPT of loop0 in sector 131071 cannot be read (EIO); the primary GPT is intact and used; {RepairHint}"], scan.Warnings);
    }

    private static Partition[] CheckIntact(DiskImage image)
    {
        Partition[] partitions = DiskImage.AskSfdisk(image.Path);
        Assert.Equal(partitions, DiskImage.AskParted(image.Path));
        CheckIntact(image.Scan(), partitions);
        return partitions;
    }

    private static void CheckIntact(PartitionScan scan, Partition[] partitions)
    {
        Assert.Equal(PartitionScheme.Gpt, scan.Scheme);
        Assert.Equal(partitions, scan.Partitions);
        Assert.Empty(scan.Warnings);
    }

    private static void CheckWarned(DiskImage image, Partition[] partitions, params string[] warnings)
    {
        PartitionScan scan = image.Scan();
        Assert.Equal(PartitionScheme.Gpt, scan.Scheme);
        Assert.Equal(partitions, scan.Partitions);
        Assert.Equal(warnings, scan.Warnings);
    }

    private static void CheckDamaged(DiskImage image, int sectorBytes, string warning)
    {
        PartitionScan scan = image.Scan(sectorBytes);
        Assert.Equal(PartitionScheme.Gpt, scan.Scheme);
        Assert.Empty(scan.Partitions);
        Assert.Equal([warning], scan.Warnings);
    }

    /// <summary>Does what the warning says.</summary>
    private static void Repair(DiskImage image, bool bySgdisk)
    {
        if (bySgdisk)
            image.Sgdisk("-e");
        else
            image.Sfdisk("write\n");
    }
}
