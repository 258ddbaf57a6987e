using System.Globalization;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>What is in the backing file, byte for byte: an image must be the same one that the kernel's loop driver made, and
/// the other way round.</summary>
public sealed class TransformationTests
{
    // Neither a whole number of requests nor of pages.
    private const int Bytes = (3 << 20) + 5 * 512;

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(31)]
    [InlineData(32)]
    [InlineData(64)]
    [InlineData(511)]
    [InlineData(512)]
    [InlineData(513)]
    [InlineData(700)]
    public void An_image_written_through_xor_is_the_kernels(int keyBytes)
    {
        using var loopd = new Loopd();
        byte[] key = TransferStack.Key(keyBytes);
        CheckWritten(loopd, TransferStack.Xor(loopd, key), plain =>
        {
            byte[] stored = new byte[plain.Length];
            for (int i = 0; i < plain.Length; i++)
                stored[i] = (byte)(plain[i] ^ key[(i & 511) % keyBytes]);
            return stored;
        });
    }

    [Fact]
    public void A_pipeline_of_two_transforms_twice()
    {
        using var loopd = new Loopd();
        byte[] first = TransferStack.Key(31), second = TransferStack.Key(45);
        CheckWritten(loopd, TransferStack.Xor(loopd, first, second), plain =>
        {
            byte[] stored = new byte[plain.Length];
            for (int i = 0; i < plain.Length; i++)
                stored[i] = (byte)(plain[i] ^ first[(i & 511) % 31] ^ second[(i & 511) % 45]);
            return stored;
        });
    }

    [Theory]
    [InlineData]
    [InlineData("-e", "identity")]
    public void Identity_leaves_the_bytes_as_they_are(params string[] arguments)
    {
        using var loopd = new Loopd();
        string plain = loopd.MakeFile("plain", Bytes), image = loopd.MakeSparseFile("disk.img", Bytes);
        string device = loopd.Bind([.. arguments, image]);
        Copy(plain, device);
        Shell.Run("cmp", plain, image).Succeeded();
        Shell.Run("cmp", plain, device).Succeeded();
    }

    [Theory]
    [InlineData(512, 0)]
    [InlineData(512, 300 << 10)]
    [InlineData(4096, 0)]
    [InlineData(4096, 100_000)]
    [InlineData((1 << 20) + 512, 0)]
    [InlineData((1 << 20) + 512, (1 << 20) + 1023)]
    public void A_window_is_transformed_and_nothing_around_it_changes(int offset, int sizeLimit)
    {
        using var loopd = new Loopd();
        TransferStack stack = TransferStack.Make(loopd, "xor");
        // A length that is no multiple of a sector: the rest belongs to no device.
        byte[] before = File.ReadAllBytes(loopd.MakeFile("disk.img", Bytes + 100, seed: 2));
        int length = (sizeLimit == 0 ? Bytes + 100 - offset : sizeLimit) / 512 * 512;
        byte[] plain = File.ReadAllBytes(loopd.MakeFile("plain", length));

        string device = loopd.Bind([.. stack.Arguments, "-o", Number(offset), "--sizelimit", Number(sizeLimit), loopd.File("disk.img")]);
        Assert.Equal(length, new FileInfo(device).Length);
        Copy(loopd.File("plain"), device);
        byte[] expected = [.. before[..offset], .. stack.Encode(plain), .. before[(offset + length)..]];
        Assert.Equal(expected, File.ReadAllBytes(loopd.File("disk.img")));
        Shell.Run("cmp", loopd.File("plain"), device).Succeeded();
    }

    [Fact]
    public void An_image_of_the_old_kernel_reads_plain_and_is_left_as_it_was()
    {
        Requirements.SkipUnlessInstalled("mkfs.ext4", "e2fsck");
        using var loopd = new Loopd();
        TransferStack stack = TransferStack.Make(loopd, "xor");
        string plain = loopd.MakeSparseFile("plain", 16 << 20);
        Directory.CreateDirectory(loopd.File("tree"));
        loopd.MakeFile("tree/data", 5 << 20);
        Shell.Run("mkfs.ext4", "-q", "-d", loopd.File("tree"), plain).Succeeded();
        byte[] stored = stack.Encode(File.ReadAllBytes(plain));
        string image = loopd.MakeFile("disk.img", stored);

        string device = loopd.Bind([.. stack.Arguments, image]);
        Shell.Run("cmp", plain, device).Succeeded();
        Shell.Run("e2fsck", "-fn", device).Succeeded();
        Assert.Equal(0, loopd.Stop());
        Assert.Equal(stored, File.ReadAllBytes(image));
    }

    private static void CheckWritten(Loopd loopd, TransferStack stack, Func<byte[], byte[]> transform)
    {
        byte[] plain = File.ReadAllBytes(loopd.MakeFile("plain", Bytes));
        string image = loopd.MakeSparseFile("disk.img", Bytes);
        string device = loopd.Bind([.. stack.Arguments, image]);
        Copy(loopd.File("plain"), device);
        Assert.Equal(transform(plain), File.ReadAllBytes(image));
        Shell.Run("cmp", loopd.File("plain"), device).Succeeded();

        // Once more from the file: the comparison before may have been answered by the kernel's page cache.
        loopd.Control("-d", device).Succeeded();
        Shell.Run("cmp", loopd.File("plain"), loopd.Bind([.. stack.Arguments, image])).Succeeded();
    }

    private static void Copy(string from, string device) =>
        Shell.Run("dd", $"if={from}", $"of={device}", "bs=192k", "conv=notrunc,fsync", "status=none").Succeeded();

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);
}
