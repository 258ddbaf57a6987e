using System.Diagnostics;
using CsCheck;
using LoopDaemon.Storage;

namespace LoopDaemon.Devices.Tests;

/// <summary>Whatever is on a device, and however much of it can be read, reading its table ends soon, raises no exception,
/// and finds only partitions that can be shown.</summary>
public sealed class PartitionPropertyTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    private static readonly Gen<int> GenSectorBytes = Gen.OneOf(512, 1024, 2048, 4096);

    private readonly DiskImage _image = new(0);

    public void Dispose() => _image.Dispose();

    [Fact]
    public void Random_bytes_show_only_partitions_within_the_device() =>
        Gen.Select(Gen.Byte.Array[512, 16_384], GenSectorBytes).Sample((bytes, sectorBytes) =>
        {
            bytes[510] = 0x55;
            bytes[511] = 0xAA;
            Check(bytes, sectorBytes, bytes.Length);
        }, iter: 2000, threads: 1);

    [Fact]
    public void Random_boot_records_show_only_partitions_within_the_device() =>
        Gen.Select(RandomTables.GenBootRecords, GenSectorBytes, Gen.Int[0, 128 << 10]).Sample(
            (disk, sectorBytes, readable) => Check(disk.Bytes, sectorBytes, readable), iter: 2000, threads: 1);

    [Fact]
    public void Damaged_tables_show_only_partitions_within_the_device() =>
        Gen.Select(RandomTables.GenDamaged, GenSectorBytes, Gen.Int[0, 512 << 10]).Sample(
            (disk, sectorBytes, readable) => Check(disk.Bytes, sectorBytes, readable), iter: 2000, threads: 1);

    private void Check(byte[] bytes, int sectorBytes, int readableBytes)
    {
        _image.Resize(0).Patch(0, bytes);
        using FileStore store = _image.Open();
        if (readableBytes < bytes.Length)
            _image.Resize(readableBytes);
        long start = Stopwatch.GetTimestamp();
        PartitionScan scan = PartitionTable.Read(store, sectorBytes, "loop0");
        Assert.True(Stopwatch.GetElapsedTime(start) < Soon);
        Assert.All(scan.Partitions, partition =>
        {
            Assert.InRange(partition.Number, 1, 255);
            Assert.InRange(partition.OffsetBytes, 0, bytes.Length - 1);
            Assert.Equal(0, partition.OffsetBytes % sectorBytes);
            Assert.InRange(partition.LengthBytes, 512, bytes.Length - partition.OffsetBytes);
        });
        Assert.Equal(scan.Partitions.Select(partition => partition.Number).Distinct().Order(), scan.Partitions.Select(partition => partition.Number));
        Assert.All(scan.Warnings, warning => Assert.Matches("^(?=[a-z]).*loop0.*[^.]$", warning));
        if (scan.Scheme == PartitionScheme.None)
            Assert.Empty(scan.Partitions);
    }
}
