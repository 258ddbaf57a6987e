using CsCheck;

namespace LoopDaemon.Devices.Tests;

/// <summary>What the kernel finds in the same images, many in one run of it.</summary>
public sealed class KernelTests
{
    private const int RandomDisks = 100;

    [Fact]
    public void The_kernel_finds_the_same_in_tables_that_sfdisk_sgdisk_and_parted_made()
    {
        List<DiskContents> disks = [];
        Make(512, image => image.Sfdisk("label: dos\n,1M\n,2M\n,3M\n;\n"));
        Make(512, image => image.Sfdisk("label: dos\n1: size=1M\n2: size=12M, type=f\n5: size=1M\n6: size=2M\n7: size=1M\n8: size=1M\n"));
        Make(512, image => image.Parted("mklabel", "msdos", "mkpart", "extended", "1MiB", "15MiB",
            "mkpart", "logical", "2MiB", "3MiB", "mkpart", "logical", "10MiB", "12MiB", "mkpart", "logical", "6MiB", "8MiB", "rm", "6"));
        Make(512, image => image.Sfdisk("label: dos\n,4M\n,8M\n,2M\n").Resize(10 * DiskImage.MiB));
        Make(512, image => image.Sfdisk("label: gpt\ngrain: 4096\n" + string.Concat(Enumerable.Repeat(",64K\n", 128))));
        Make(512, image => image.Sgdisk("-n", "3:2048:+1M", "-n", "100:10M:+1M", "-n", "2:5M:+1M"));
        Make(512, image => image.Sgdisk("-n", "1:0:+1M", "-n", "2:0:+1M").Sgdisk("-h", "1:2"));
        Make(512, image => image.Sfdisk("label: gpt\n,1M\n").Resize(20 * DiskImage.MiB));
        Make(512, image => image.Sfdisk("label: gpt\n,1M\n").Resize(10 * DiskImage.MiB));
        foreach (int sectorBytes in (int[])[1024, 2048, 4096])
        {
            Make(sectorBytes, image => image.Fdisk(sectorBytes, "g\nn\n3\n\n+1M\nn\n1\n\n\nw\n"));
            Make(sectorBytes, image => image.Fdisk(sectorBytes, "o\nn\np\n2\n\n+1M\nn\ne\n1\n\n\nn\nl\n\n+1M\nn\nl\n\n+2M\nw\n"));
        }
        IReadOnlyList<Partition[]> found = Compare([.. disks]);
        Assert.Equal([4, 6, 3, 2, 128, 3, 2, 1, 0, 2, 4, 2, 4, 2, 4], found.Select(partitions => partitions.Length));

        void Make(int sectorBytes, Action<DiskImage> make)
        {
            using var image = new DiskImage(16 * DiskImage.MiB);
            make(image);
            disks.Add(new DiskContents(image.Contents, sectorBytes));
        }
    }

    [Fact]
    public void The_kernel_finds_the_same_in_random_boot_records() =>
        RandomTables.GenBootRecords.Array[RandomDisks].Sample(disks => _ = Compare(disks), iter: 1, threads: 1);

    [Fact]
    public void The_kernel_finds_the_same_in_damaged_tables() =>
        RandomTables.GenDamaged.Array[RandomDisks].Sample(disks => _ = Compare(disks), iter: 1, threads: 1);

    private static IReadOnlyList<Partition[]> Compare(DiskContents[] disks)
    {
        using var kernel = new KernelScanner();
        foreach (DiskContents disk in disks)
            kernel.Add(disk.Bytes, disk.SectorBytes);
        IReadOnlyList<Partition[]> found = kernel.Scan();
        for (int i = 0; i < disks.Length; i++)
        {
            using var image = new DiskImage(disks[i].Bytes);
            PartitionScan scan = image.Scan(disks[i].SectorBytes);
            // Where a chain is circular, the kernel goes on with it up to number 255.
            bool isCircular = scan.Warnings.Any(warning => warning.Contains("leads back", StringComparison.Ordinal));
            Partition[] expected = isCircular ? Primary(found[i]) : found[i];
            Partition[] actual = isCircular ? Primary(scan.Partitions) : [.. scan.Partitions];
            Assert.True(expected.SequenceEqual(actual),
                $"disk {i}\nkernel:\n{string.Join<Partition>('\n', expected)}\nhere:\n{string.Join<Partition>('\n', actual)}\n{string.Join('\n', scan.Warnings)}");
        }
        return found;
    }

    private static Partition[] Primary(IEnumerable<Partition> partitions) => [.. partitions.Where(partition => partition.Number <= 4)];
}
