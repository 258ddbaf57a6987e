namespace LoopDaemon.Transfers.Tests;

public sealed class XorTransferTests
{
    /// <summary>Lengths in bytes: whole sectors, as a transfer is given them.</summary>
    private static readonly int[] Lengths = [512, 1024, 4096, 4096 + 512, 64 * 1024];

    public static TheoryData<string> Widths => ["512", "256", "128", "8"];

    [Fact]
    public void Every_key_length_matches_the_kernels_formula()
    {
        byte[] data = RandomBytes(3 * 512, seed: 1);
        for (int keyLength = 1; keyLength <= 600; keyLength++)
        {
            byte[] key = RandomBytes(keyLength, seed: keyLength);
            using var transfer = new XorTransfer(key);
            byte[] stored = new byte[data.Length];
            transfer.Encode(data, stored, firstSector: 7);
            Assert.Equal(KernelXor(data, key), stored);
        }
    }

    [Fact]
    public void Every_data_length_matches_out_of_place_and_leaves_the_source_alone()
    {
        byte[] key = RandomBytes(77, seed: 2);
        using var transfer = new XorTransfer(key);
        foreach (int length in Lengths)
        {
            byte[] data = RandomBytes(length, seed: length);
            byte[] kept = [.. data];
            byte[] stored = new byte[length];
            transfer.Encode(data, stored, firstSector: 0);
            Assert.Equal(KernelXor(kept, key), stored);
            Assert.Equal(kept, data);
        }
    }

    [Fact]
    public void Encode_in_place_and_decode_bring_the_data_back()
    {
        byte[] key = RandomBytes(31, seed: 3);
        using var transfer = new XorTransfer(key);
        foreach (int length in Lengths)
        {
            byte[] data = RandomBytes(length, seed: length);
            byte[] work = [.. data];
            transfer.Encode(work, work, firstSector: 5);
            Assert.Equal(KernelXor(data, key), work);
            transfer.Decode(work, firstSector: 5);
            Assert.Equal(data, work);
        }
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void Every_vector_width_matches_at_any_length_and_alignment(string width)
    {
        switch (width)
        {
            case "512": CheckWidth<PatternXor.Lane512>(); break;
            case "256": CheckWidth<PatternXor.Lane256>(); break;
            case "128": CheckWidth<PatternXor.Lane128>(); break;
            default: CheckWidth<PatternXor.Lane8>(); break;
        }
    }

    [Fact]
    public void A_longer_memory_than_the_data_is_left_alone_behind_it()
    {
        using var transfer = new XorTransfer([0xFF]);
        byte[] stored = new byte[1024];
        transfer.Encode(new byte[512], stored, firstSector: 0);
        Assert.All(stored[..512], value => Assert.Equal(0xFF, value));
        Assert.All(stored[512..], value => Assert.Equal(0, value));
    }

    [Fact]
    public void A_disposed_transfer_refuses_instead_of_storing_plain_data()
    {
        var transfer = new XorTransfer([1, 2, 3]);
        transfer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => transfer.Decode(new byte[512], firstSector: 0));
    }

    [Fact]
    public void Allocates_nothing()
    {
        using var transfer = new XorTransfer(RandomBytes(32, seed: 4));
        byte[] data = new byte[4096], stored = new byte[4096];
        transfer.Encode(data, stored, firstSector: 0);
        transfer.Decode(data, firstSector: 0);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 10_000; i++)
        {
            transfer.Encode(data, stored, firstSector: 0);
            transfer.Decode(data, firstSector: 0);
        }
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    private static void CheckWidth<TLane>() where TLane : struct, PatternXor.ILane
    {
        Assert.SkipUnless(TLane.IsSupported, "This processor has no vectors of this width.");
        byte[] key = RandomBytes(45, seed: 5);
        byte[] pattern = [.. Enumerable.Range(0, PatternXor.PatternBytes).Select(i => key[i % key.Length])];
        for (int length = 0; length <= 1300; length++)
        {
            int shift = length % 64;
            byte[] data = RandomBytes(shift + length, seed: length);
            byte[] stored = new byte[length];
            PatternXor.Apply<TLane>(data.AsSpan(shift), stored, pattern);
            Assert.Equal(KernelXor(data[shift..], key), stored);
            PatternXor.Apply<TLane>(data.AsSpan(shift), data.AsSpan(shift), pattern);
            Assert.Equal(stored, data[shift..]);
        }
    }

    /// <summary>transfer_xor of Linux 5.8: <c>*out++ = *in++ ^ key[(i &amp; 511) % keysize]</c>.</summary>
    private static byte[] KernelXor(byte[] data, byte[] key)
    {
        byte[] result = new byte[data.Length];
        for (int i = 0; i < data.Length; i++)
            result[i] = (byte)(data[i] ^ key[(i & 511) % key.Length]);
        return result;
    }

    private static byte[] RandomBytes(int count, int seed)
    {
        byte[] bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
