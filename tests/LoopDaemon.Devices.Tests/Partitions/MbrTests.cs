using System.Buffers.Binary;
using System.Diagnostics;
using LoopDaemon.Storage;

namespace LoopDaemon.Devices.Tests;

/// <summary>Master boot records that sfdisk and parted made.</summary>
public sealed class MbrTests
{
    private const int SectorBytes = 512;

    /// <summary>An extended partition from 9 to 49 MiB with the logical partitions 5 to 8, each of which begins 1 MiB behind
    /// its link in the chain: the links are at 9, 17, 28 and 38 MiB.</summary>
    private const string FourLogicals =
        "label: dos\n1: size=8M\n2: size=40M, type=E\n3: size=4M\n5: size=7M\n6: size=10M\n7: size=9M\n8: size=8M\n";

    [Fact]
    public void Four_primary_partitions_are_found()
    {
        using var image = new DiskImage();
        image.Sfdisk("label: dos\n,1M\n,2M,c,*\n,3M,82\n;\n");
        Assert.Equal(4, CheckIntact(image).Length);
    }

    [Fact]
    public void Primary_partitions_keep_the_numbers_of_their_entries()
    {
        using var image = new DiskImage();
        image.Sfdisk("label: dos\n3: start=2048, size=2048\n1: start=8192, size=4096\n");
        Assert.Equal([(1, 4 << 20), (3, 1 << 20)], CheckIntact(image).Select(partition => (partition.Number, (int)partition.OffsetBytes)));
    }

    [Theory]
    [InlineData("5")]
    [InlineData("f")]
    [InlineData("85")]
    public void Logical_partitions_count_from_5_and_the_extended_one_is_1_KiB(string type)
    {
        using var image = new DiskImage();
        image.Sfdisk(FourLogicals.Replace("=E", "=" + type, StringComparison.Ordinal));
        Partition[] partitions = CheckIntact(image, extended: 2);
        Assert.Equal([1, 2, 3, 5, 6, 7, 8], partitions.Select(partition => partition.Number));
        Assert.Equal(1024, partitions[1].LengthBytes);
    }

    [Fact]
    public void Logical_partitions_made_by_parted_are_found()
    {
        using var image = new DiskImage();
        image.Parted("mklabel", "msdos", "mkpart", "extended", "1MiB", "60MiB", "mkpart", "logical", "2MiB", "10MiB",
            "mkpart", "logical", "40MiB", "50MiB", "mkpart", "logical", "20MiB", "30MiB");
        Assert.Equal([1, 5, 6, 7], CheckIntact(image, extended: 1).Select(partition => partition.Number));
    }

    [Fact]
    public void After_a_logical_partition_in_the_middle_is_deleted_the_others_move_up()
    {
        using var bySfdisk = new DiskImage();
        bySfdisk.Sfdisk(FourLogicals);
        Shell.Run("sfdisk", "", "--quiet", "--delete", bySfdisk.Path, "6");
        Assert.Equal([1, 2, 3, 5, 6, 7], CheckIntact(bySfdisk, extended: 2).Select(partition => partition.Number));
        using var byParted = new DiskImage();
        byParted.Sfdisk(FourLogicals).Parted("rm", "6");
        Assert.Equal([1, 2, 3, 5, 6, 7], CheckIntact(byParted, extended: 2).Select(partition => partition.Number));
    }

    [Fact]
    public void A_link_without_a_partition_takes_no_number()
    {
        using var image = new DiskImage();
        image.Sfdisk(FourLogicals);
        Partition[] partitions = CheckIntact(image, extended: 2);
        Empty(image, partitions[4]);
        Check(image, [.. partitions[..4], .. partitions[5..].Select(partition => partition with { Number = partition.Number - 1 })]);
    }

    [Fact]
    public void The_entries_of_a_link_may_be_swapped()
    {
        using var image = new DiskImage();
        image.Sfdisk(FourLogicals);
        Partition[] partitions = CheckIntact(image, extended: 2);
        long link = LinkOf(partitions[4]);
        byte[] entries = image.Contents[(int)(link + 446)..(int)(link + 478)];
        image.Patch(link + 446, [.. entries[16..], .. entries[..16]]);
        Check(image, partitions);
    }

    [Fact]
    public void The_last_two_entries_of_a_link_count_only_where_they_fit()
    {
        using var image = new DiskImage();
        image.Sfdisk("label: dos\n1: size=50M, type=E\n5: size=10M\n");
        Partition[] partitions = CheckIntact(image, extended: 1);
        long link = LinkOf(partitions[1]);
        image.Patch(link + 478, [.. Entry(0x83, 40_000, 1000), .. Entry(0x83, 80_000, 22_401)]);
        Check(image, [.. partitions, new Partition(6, link + 40_000 * SectorBytes, 1000 * SectorBytes)]);
    }

    [Fact]
    public void An_empty_extended_partition_is_no_damage()
    {
        using var image = new DiskImage();
        image.Sfdisk("label: dos\n,4M\n,,E\n");
        Assert.Equal([1, 2], CheckIntact(image, extended: 2).Select(partition => partition.Number));
    }

    [Fact]
    public void An_extended_partition_of_one_sector_shows_that_sector()
    {
        using var image = new DiskImage();
        image.Sfdisk("label: dos\n").Patch(446, Entry(0x05, 100, 1)).Patch(100 * SectorBytes + 510, 0x55, 0xAA);
        Check(image, [new Partition(1, 100 * SectorBytes, SectorBytes)]);
    }

    [Fact]
    public void Two_extended_partitions_share_the_numbers()
    {
        using var image = new DiskImage();
        image.Sfdisk("label: dos\n1: size=20M, type=E\n2: size=20M\n5: size=2M\n6: size=2M\n");
        Partition[] partitions = CheckIntact(image, extended: 1);
        // The second is made of partition 2: a chain of one link at its start.
        image.Patch(446 + 16 + 4, 0x0F).Patch(partitions[1].OffsetBytes + 446, Entry(0x83, 63, 100))
            .Patch(partitions[1].OffsetBytes + 510, 0x55, 0xAA);
        Check(image, [partitions[0], partitions[1] with { LengthBytes = 1024 }, .. partitions[2..],
            new Partition(7, partitions[1].OffsetBytes + 63 * SectorBytes, 100 * SectorBytes)]);
    }

    [Theory]
    [InlineData(1024, 1024)]
    [InlineData(2048, 2048)]
    [InlineData(4096, 4096)]
    public void A_table_counts_in_the_sectors_of_the_device(int sectorBytes, int extendedBytes)
    {
        using var image = new DiskImage();
        using var loop = new KernelLoop(image.Path, sectorBytes);
        Shell.Run("sfdisk", FourLogicals, "--quiet", "--no-reread", "--no-tell-kernel", loop.Path);
        Partition[] partitions = DiskImage.AskSfdisk(loop.Path);
        Assert.Equal([1, 2, 3, 5, 6, 7, 8], partitions.Select(partition => partition.Number));
        Assert.Equal(extendedBytes, partitions[1].LengthBytes);
        Check(image, partitions, sectorBytes);
    }

    [Fact]
    public void A_table_without_partitions_is_one()
    {
        using var image = new DiskImage();
        Check(image.Sfdisk("label: dos\n"), []);
    }

    [Fact]
    public void A_partition_may_begin_in_the_sector_of_the_table()
    {
        using var image = new DiskImage();
        // As on an ISO image that boots from a disk too.
        image.Sfdisk("label: dos\n").Patch(446, Entry(0x17, 0, 131_072));
        Check(image, [new Partition(1, 0, 64 << 20)]);
    }

    [Fact]
    public void A_partition_past_the_end_is_left_out_and_one_across_it_cut_short()
    {
        using var image = new DiskImage();
        image.Sfdisk("label: dos\n,10M\n,20M\n,10M\n").Resize(20 << 20);
        Check(image, [new Partition(1, 1 << 20, 10 << 20), new Partition(2, 11 << 20, 9 << 20)],
            "loop0p2 ends in sector 63487, past the end of loop0 (40960 sectors), and is cut short",
            "loop0p3 begins in sector 63488, past the end of loop0 (40960 sectors), and is left out");
    }

    [Fact]
    public void A_chain_that_leads_past_the_end_of_the_device_ends_there()
    {
        using var image = new DiskImage();
        image.Sfdisk(FourLogicals);
        Partition[] partitions = CheckIntact(image, extended: 2);
        image.Resize(27 << 20);
        Check(image, [partitions[0], partitions[1], partitions[3], partitions[4] with { LengthBytes = 9 << 20 }],
            "loop0p6 ends in sector 57343, past the end of loop0 (55296 sectors), and is cut short",
            "the chain of logical partitions in loop0p2 leads to sector 57344, past the end of loop0 (55296 sectors), and ends there",
            "loop0p3 begins in sector 100352, past the end of loop0 (55296 sectors), and is left out");
    }

    [Fact]
    public void A_link_that_cannot_be_read_ends_the_chain()
    {
        using var image = new DiskImage();
        image.Sfdisk(FourLogicals);
        Partition[] partitions = CheckIntact(image, extended: 2);
        using FileStore store = image.Open();
        image.Resize(LinkOf(partitions[4]));
        PartitionScan scan = PartitionTable.Read(store, SectorBytes, "loop0");
        Assert.Equal(partitions[..4], scan.Partitions);
        Assert.Equal(["the chain of logical partitions in loop0p2 cannot be read in sector 34816 (EIO), and ends there"], scan.Warnings);
    }

    [Fact]
    public void A_link_without_a_signature_ends_the_chain()
    {
        using var image = new DiskImage();
        image.Sfdisk(FourLogicals);
        Partition[] partitions = CheckIntact(image, extended: 2);
        image.Patch(LinkOf(partitions[4]) + 510, 0);
        Check(image, partitions[..4],
            "the chain of logical partitions in loop0p2 leads to sector 34816, which has no signature 55 AA, and ends there");
    }

    [Fact]
    public void A_circular_chain_is_gone_through_once()
    {
        using var image = new DiskImage();
        image.Sfdisk(FourLogicals);
        Partition[] partitions = CheckIntact(image, extended: 2);
        // The last link leads to the second, counted from the extended partition.
        long second = (LinkOf(partitions[4]) - partitions[1].OffsetBytes) / SectorBytes;
        image.Patch(LinkOf(partitions[6]) + 446 + 16, Entry(0x05, (uint)second, 2048));
        Check(image, partitions,
            "the chain of logical partitions in loop0p2 leads back to sector 34816, and ends there");
    }

    [Fact]
    public void A_chain_that_leaves_its_partition_is_followed_with_a_warning()
    {
        using var image = new DiskImage();
        image.Sfdisk(FourLogicals);
        Partition[] partitions = CheckIntact(image, extended: 2);
        // The extended partition of 81920 sectors now has 20480, up to the middle of loop0p6.
        image.Patch(446 + 16 + 13, 0x50, 0);
        Check(image, partitions,
            "the chain of logical partitions in loop0p2 leads to sector 57344, past its end in sector 38911");
    }

    [Fact]
    public void A_chain_of_more_than_100_links_without_a_partition_ends()
    {
        using var image = new DiskImage();
        Chain(image, links: 200, _ => false);
        Check(image, [new Partition(1, SectorBytes, 1024)],
            "more than 100 links in a row of the chain in loop0p1 hold no logical partition; those after them are left out");
        // One that holds a partition starts the count anew.
        Chain(image, links: 200, link => link is 99 or 199);
        Check(image, [new Partition(1, SectorBytes, 1024), new Partition(5, 600 * SectorBytes, SectorBytes), new Partition(6, 700 * SectorBytes, SectorBytes)]);
    }

    [Fact]
    public void Partitions_end_with_number_255()
    {
        using var image = new DiskImage();
        Chain(image, links: 251, _ => true);
        Assert.Empty(image.Scan().Warnings);
        Chain(image, links: 400, _ => true);
        PartitionScan scan = image.Scan();
        Assert.Equal([1, .. Enumerable.Range(5, 251)], scan.Partitions.Select(partition => partition.Number));
        Assert.Equal(["loop0 has partitions beyond loop0p255, which are left out"], scan.Warnings);
    }

    [Fact]
    public void The_longest_chain_that_is_followed_is_read_soon()
    {
        using var image = new DiskImage();
        Chain(image, links: 30_000, link => link % 100 == 99);
        long start = Stopwatch.GetTimestamp();
        Assert.Equal(252, image.Scan().Partitions.Count);
        Assert.True(Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(5));
    }

    /// <summary>Writes an extended partition at sector 1 whose links follow each other; the partition of the one with
    /// index i is sector 501 + i.</summary>
    private static void Chain(DiskImage image, int links, Func<int, bool> holdsPartition)
    {
        byte[] sectors = new byte[(1 + links) * SectorBytes];
        WriteRecord(sectors, Entry(0x05, 1, 100_000));
        for (int i = 0; i < links; i++)
        {
            WriteRecord(sectors.AsSpan((1 + i) * SectorBytes), [
                .. holdsPartition(i) ? Entry(0x83, 500, 1) : new byte[16],
                .. i + 1 < links ? Entry(0x05, (uint)i + 1, 1) : []]);
        }
        image.Patch(0, sectors);
    }

    private static void WriteRecord(Span<byte> sector, byte[] entries)
    {
        entries.CopyTo(sector[446..]);
        sector[510] = 0x55;
        sector[511] = 0xAA;
    }

    private static byte[] Entry(byte type, uint first, uint count)
    {
        byte[] entry = new byte[16];
        entry[4] = type;
        BinaryPrimitives.WriteUInt32LittleEndian(entry.AsSpan(8), first);
        BinaryPrimitives.WriteUInt32LittleEndian(entry.AsSpan(12), count);
        return entry;
    }

    /// <summary>Empties the entry of a logical partition, as fdisk of old did to delete it.</summary>
    private static void Empty(DiskImage image, Partition logical) => image.Patch(LinkOf(logical) + 446, new byte[16]);

    /// <summary>Where the link of a logical partition is that sfdisk or parted made, in bytes.</summary>
    private static long LinkOf(Partition logical) => logical.OffsetBytes - (1 << 20);

    private static Partition[] CheckIntact(DiskImage image, int? extended = null)
    {
        Partition[] partitions = DiskImage.AskSfdisk(image.Path);
        Assert.Equal(partitions, DiskImage.AskParted(image.Path)
            .Select(partition => partition.Number == extended ? partition with { LengthBytes = 1024 } : partition));
        Check(image, partitions);
        return partitions;
    }

    private static void Check(DiskImage image, Partition[] partitions, params string[] warnings) =>
        Check(image.Scan(), partitions, warnings);

    private static void Check(DiskImage image, Partition[] partitions, int sectorBytes) =>
        Check(image.Scan(sectorBytes), partitions, []);

    private static void Check(PartitionScan scan, Partition[] partitions, string[] warnings)
    {
        Assert.Equal(warnings, scan.Warnings);
        Assert.Equal(PartitionScheme.Mbr, scan.Scheme);
        Assert.Equal(partitions, scan.Partitions);
    }
}
