using LoopDaemon.Linux;
using LoopDaemon.Transfers;

namespace LoopDaemon.Storage.Tests;

public sealed class TransferStoreTests
{
    private static readonly byte[] Key = Bytes.Random(45, seed: 99);

    private readonly byte[] _scratch = new byte[BlockStore.MinScratchBytes];

    /// <summary>Ranges of bytes: parts of one sector, of neighbours, whole sectors, longer than the scratch memory.</summary>
    public static TheoryData<int, int> Ranges => new()
    {
        { 0, 1 }, { 100, 50 }, { 511, 1 }, { 511, 2 }, { 0, 512 }, { 512, 1024 }, { 100, 412 }, { 100, 924 }, { 100, 512 },
        { 0, 513 }, { 1, 30_000 }, { 512, 40_960 }, { 1000, 8192 }, { 4096, 4096 }, { 65_535, 1 }, { 65_024, 512 }, { 0, 65_536 },
    };

    [Theory]
    [MemberData(nameof(Ranges))]
    public void Any_range_reads_back_as_written_and_the_rest_stays(int offset, int length)
    {
        foreach (int sectorSize in new[] { 512, 4096 })
        {
            byte[] plain = Bytes.Random(65_536, seed: 1);
            using var file = new TemporaryFile(Encoded(plain, firstSector: 9, sectorSize));
            using var store = new TransferStore(file.Open(), [new ChainTransfer(3, sectorSize)], firstSector: 9, allowDiscards: false);
            byte[] data = Bytes.Random(length, seed: 2), kept = [.. data];
            Assert.Equal(Errno.None, store.Write(offset, data, _scratch));
            Assert.Equal(kept, data);

            data.CopyTo(plain, offset);
            Assert.Equal(Encoded(plain, firstSector: 9, sectorSize), file.Bytes);
            byte[] read = new byte[length];
            Assert.Equal(Errno.None, store.Read(offset, read));
            Assert.Equal(kept, read);
            Assert.Equal(Errno.None, store.WriteZeroes(offset, length, _scratch));
            plain.AsSpan(offset, length).Clear();
            Assert.Equal(Encoded(plain, firstSector: 9, sectorSize), file.Bytes);
        }
    }

    [Fact]
    public void The_first_transfer_is_the_nearest_to_the_users_data()
    {
        using var file = new TemporaryFile(512);
        using var store = new TransferStore(
            file.Open(), [new XorTransfer(Key), new ChainTransfer(1)], firstSector: 0, allowDiscards: false);
        byte[] plain = Bytes.Random(512, seed: 3);
        Assert.Equal(Errno.None, store.Write(0, plain, _scratch));

        byte[] expected = [.. plain.Select((value, i) => (byte)(value ^ Key[i % Key.Length]))];
        new ChainTransfer(1).Encode(expected, expected, firstSector: 0);
        Assert.Equal(expected, file.Bytes);
    }

    [Fact]
    public void Identities_are_left_out_of_a_pipeline()
    {
        using var file = new TemporaryFile(512);
        var chain = new ChainTransfer(1);
        using (BlockStore mixed = TransferStore.Over(file.Open(), [new IdentityTransfer(), chain], 0, allowDiscards: false))
            Assert.IsType<TransferStore>(mixed);
        Assert.True(chain.IsDisposed);

        using FileStore below = file.Open();
        Assert.Same(below, TransferStore.Over(below, [new IdentityTransfer()], 0, allowDiscards: false));
        Assert.Same(below, TransferStore.Over(below, [], 0, allowDiscards: false));
        Assert.Throws<ArgumentException>(() => new TransferStore(below, [new IdentityTransfer()], 0, allowDiscards: false));
    }

    [Fact]
    public void A_length_that_is_not_whole_sectors_is_refused()
    {
        using var file = new TemporaryFile(4096 + 512);
        using FileStore below = file.Open();
        Assert.Throws<ArgumentException>(() => new TransferStore(below, [new ChainTransfer(1, 4096)], 0, allowDiscards: false));
        Assert.Throws<ArgumentException>(() => new TransferStore(below, [new ChainTransfer(1, 1000)], 0, allowDiscards: false));
        Assert.Throws<ArgumentException>(() => new TransferStore(below, [new ChainTransfer(1, 8192)], 0, allowDiscards: false));
    }

    [Fact]
    public void Too_little_scratch_memory_is_EINVAL()
    {
        using var file = new TemporaryFile(4096);
        using TransferStore store = OpenXor(file, allowDiscards: false);
        Assert.Equal(Errno.EINVAL, store.Write(0, new byte[512], new byte[8191]));
        Assert.Equal(Errno.EINVAL, store.WriteZeroes(0, 512, new byte[8191]));
    }

    [Fact]
    public void Transfers_stack_and_share_the_scratch_memory()
    {
        using var file = new TemporaryFile(65_536);
        using var store = new TransferStore(
            new TransferStore(file.Open(), [new ChainTransfer(1)], 0, allowDiscards: false),
            [new ChainTransfer(2, 4096)], 0, allowDiscards: false);
        foreach (int scratchBytes in new[] { 8192, 16_384, 100_000 })
        {
            byte[] data = Bytes.Random(50_000, seed: scratchBytes), read = new byte[50_000];
            Assert.Equal(Errno.None, store.Write(777, data, new byte[scratchBytes]));
            Assert.Equal(Errno.None, store.Read(777, read));
            Assert.Equal(data, read);
        }
    }

    [Fact]
    public void A_failed_read_shows_nothing_undecoded()
    {
        using var file = new TemporaryFile(Bytes.Random(8192, seed: 4));
        using TransferStore store = OpenXor(file, allowDiscards: false);
        using (FileStream outside = File.OpenWrite(file.Path))
            outside.SetLength(4096);
        byte[] read = Bytes.Random(8192, seed: 5);
        Assert.Equal(Errno.EIO, store.Read(0, read));
        Assert.All(read, value => Assert.Equal(0, value));
    }

    [Fact]
    public void Ranges_outside_are_answered_as_by_any_store()
    {
        using var file = new TemporaryFile(4096);
        using TransferStore store = OpenXor(file, allowDiscards: true);
        Assert.Equal(Errno.ENOSPC, store.Write(4095, new byte[2], _scratch));
        Assert.Equal(Errno.ENOSPC, store.WriteZeroes(4096, 1, _scratch));
        Assert.Equal(Errno.ENOSPC, store.Discard(0, 4097));
        Assert.Equal(Errno.EIO, store.Read(4096, new byte[1]));
        using var readOnly = new TransferStore(file.Open(OpenFlags.ReadOnly), [new XorTransfer(Key)], 0, allowDiscards: true);
        Assert.Equal(Errno.EROFS, readOnly.Write(0, new byte[512], _scratch));
        Assert.Equal(Errno.EROFS, readOnly.Discard(0, 512));
    }

    [Fact]
    public void Without_discards_a_discard_is_EOPNOTSUPP_and_everything_is_data()
    {
        using var file = new TemporaryFile(1 << 20);
        using TransferStore store = OpenXor(file, allowDiscards: false);
        Assert.Equal(Errno.EOPNOTSUPP, store.Discard(0, 4096));
        Assert.Equal(Errno.None, store.Seek(SeekTarget.Data, 777, out long found));
        Assert.Equal(777, found);
        Assert.Equal(Errno.None, store.Seek(SeekTarget.Hole, 777, out found));
        Assert.Equal(1 << 20, found);
        Assert.Equal(Errno.ENXIO, store.Seek(SeekTarget.Data, 1 << 20, out _));
    }

    [Fact]
    public void With_discards_whole_sectors_become_holes_and_parts_are_zeroed()
    {
        using var file = new TemporaryFile(1 << 20);
        using TransferStore store = OpenXor(file, allowDiscards: true);
        byte[] plain = Bytes.Random(1 << 20, seed: 6);
        Assert.Equal(Errno.None, store.Write(0, plain, _scratch));
        Assert.Equal(Errno.None, store.Flush());
        long before = file.AllocatedBytes;

        Assert.Equal(Errno.None, store.Discard(100, 500_000));
        Assert.Equal(Errno.None, store.Discard(600_000, 100));
        Assert.True(file.AllocatedBytes <= before - 480_000);
        plain.AsSpan(100, 500_000).Clear();
        plain.AsSpan(600_000, 100).Clear();
        byte[] read = new byte[1 << 20];
        Assert.Equal(Errno.None, store.Read(0, read));
        Assert.Equal(plain, read);
        Assert.False(file.Bytes.AsSpan(512, 499_000).ContainsAnyExcept((byte)0));
    }

    [Fact]
    public void With_discards_WriteZeroes_reads_as_zeros()
    {
        using var file = new TemporaryFile(1 << 20);
        using TransferStore store = OpenXor(file, allowDiscards: true);
        byte[] plain = Bytes.Random(1 << 20, seed: 7);
        Assert.Equal(Errno.None, store.Write(0, plain, _scratch));
        Assert.Equal(Errno.None, store.WriteZeroes(1000, 700_000, _scratch));
        plain.AsSpan(1000, 700_000).Clear();
        byte[] read = new byte[1 << 20];
        Assert.Equal(Errno.None, store.Read(0, read));
        Assert.Equal(plain, read);
    }

    [Fact]
    public void With_discards_data_that_would_look_like_a_hole_is_EIO()
    {
        using var file = new TemporaryFile(Bytes.Random(4096, seed: 8));
        byte[] before = file.Bytes;
        using TransferStore store = OpenXor(file, allowDiscards: true);
        byte[] keyPattern = [.. Enumerable.Range(0, 512).Select(i => Key[i % Key.Length])];
        Assert.Equal(Errno.EIO, store.Write(512, keyPattern, _scratch));
        Assert.Equal(before, file.Bytes);
        using TransferStore plain = OpenXor(file, allowDiscards: false);
        Assert.Equal(Errno.None, plain.Write(512, keyPattern, _scratch));
    }

    [Fact]
    public void With_discards_zeros_that_stay_zeros_are_no_error()
    {
        using var file = new TemporaryFile(4096);
        using var store = new TransferStore(
            file.Open(), [new XorTransfer(Key), new XorTransfer(Key)], firstSector: 0, allowDiscards: true);
        Assert.Equal(Errno.None, store.Write(0, new byte[1000], _scratch));
        byte[] read = [1];
        Assert.Equal(Errno.None, store.Read(999, read));
        Assert.Equal(0, read[0]);
    }

    [Fact]
    public void With_discards_seek_finds_holes_of_whole_sectors()
    {
        using var file = new TemporaryFile(1 << 20);
        // The window shifts sectors of 4096 bytes against the file system's blocks: the ends of data are shared.
        using var store = new TransferStore(
            new WindowStore(file.Open(), 512, (1 << 20) - 4096), [new ChainTransfer(1, 4096)], 0, allowDiscards: true);
        Assert.Equal(Errno.None, store.Write(65_536, Bytes.Random(8192, seed: 9), _scratch));

        Assert.Equal(Errno.None, store.Seek(SeekTarget.Hole, 100, out long found));
        Assert.Equal(100, found);
        Assert.Equal(Errno.None, store.Seek(SeekTarget.Data, 100, out found));
        // The file's block begins 512 bytes before the sector's, which makes the sector before it data too.
        Assert.Equal(61_440, found);
        Assert.Equal(Errno.None, store.Seek(SeekTarget.Hole, 65_600, out found));
        Assert.Equal(77_824, found);
        Assert.Equal(Errno.ENXIO, store.Seek(SeekTarget.Data, 77_824, out _));
        Assert.Equal(Errno.ENXIO, store.Seek(SeekTarget.Hole, store.Length, out _));
    }

    private static TransferStore OpenXor(TemporaryFile file, bool allowDiscards) =>
        new(file.Open(), [new XorTransfer(Key)], firstSector: 0, allowDiscards);

    private static byte[] Encoded(byte[] plain, ulong firstSector, int sectorSize)
    {
        byte[] stored = new byte[plain.Length];
        new ChainTransfer(3, sectorSize).Encode(plain, stored, firstSector);
        return stored;
    }
}
