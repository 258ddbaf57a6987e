using System.Text;
using LoopDaemon.Storage;

namespace LoopDaemon.Devices.Tests;

/// <summary>Devices without a partition table show nothing, and nothing is said of it.</summary>
public sealed class NoPartitionTableTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(512)]
    [InlineData(1 << 20)]
    public void Zeros_are_no_table(long length)
    {
        using var image = new DiskImage(length);
        CheckNone(image.Scan());
    }

    [Theory]
    [InlineData(511, 512)]
    [InlineData(4095, 4096)]
    public void A_device_shorter_than_a_sector_has_none(long length, int sectorBytes)
    {
        using var table = new DiskImage(1 << 20);
        using var image = new DiskImage(table.Sfdisk("label: dos\n;\n").Contents[..(int)length]);
        CheckNone(image.Scan(sectorBytes));
    }

    [Theory]
    [InlineData("mkfs.vfat", "-F", "12")]
    [InlineData("mkfs.vfat", "-F", "16")]
    [InlineData("mkfs.vfat", "-F", "32")]
    [InlineData("mkfs.exfat")]
    [InlineData("mkntfs", "-q", "-F")]
    public void The_boot_sector_of_a_file_system_is_no_table(string program, params string[] arguments)
    {
        using var image = new DiskImage();
        Shell.Run(program, "", [.. arguments, image.Path]);
        Assert.Equal([0x55, 0xAA], image.Contents[510..512]);
        CheckNone(image.Scan());
    }

    /// <summary>The messages of other systems' boot code lie where the entries would be.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    public void Boot_code_in_place_of_an_entry_is_no_table(int entry)
    {
        using var image = new DiskImage(1 << 20);
        image.Sfdisk("label: dos\n;\n").Patch(446 + entry * 16, Encoding.ASCII.GetBytes("Press any key"));
        CheckNone(image.Scan());
    }

    [Fact]
    public void A_file_system_that_left_room_for_a_table_may_have_one()
    {
        using var image = new DiskImage();
        Shell.Run("mkfs.vfat", "", "--mbr=yes", image.Path);
        PartitionScan scan = image.Scan();
        Assert.Equal(PartitionScheme.Mbr, scan.Scheme);
        Assert.Equal(DiskImage.AskSfdisk(image.Path), scan.Partitions);
        Assert.Single(scan.Partitions);
    }

    [Fact]
    public void A_first_sector_that_cannot_be_read_is_told()
    {
        using var image = new DiskImage();
        using FileStore store = image.Sfdisk("label: dos\n;\n").Open();
        image.Resize(0);
        PartitionScan scan = PartitionTable.Read(store, 512, "loop0");
        Assert.Equal(PartitionScheme.None, scan.Scheme);
        Assert.Empty(scan.Partitions);
        Assert.Equal(["cannot read the first sector of loop0 for a partition table (EIO)"], scan.Warnings);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(256)]
    [InlineData(1000)]
    [InlineData(8192)]
    public void A_sector_size_that_is_none_is_an_error_of_the_caller(int sectorBytes)
    {
        using var image = new DiskImage(1 << 20);
        Assert.Throws<ArgumentOutOfRangeException>(() => image.Scan(sectorBytes));
    }

    private static void CheckNone(PartitionScan scan)
    {
        Assert.Equal(PartitionScheme.None, scan.Scheme);
        Assert.Empty(scan.Partitions);
        Assert.Empty(scan.Warnings);
    }
}
