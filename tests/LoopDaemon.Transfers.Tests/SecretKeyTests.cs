namespace LoopDaemon.Transfers.Tests;

public sealed class SecretKeyTests
{
    [Fact]
    public void Holds_a_copy_of_the_bytes()
    {
        byte[] original = [1, 2, 3];
        using var key = new SecretKey(original);
        Array.Clear(original);
        Assert.Equal([1, 2, 3], key.Bytes.ToArray());
    }

    [Fact]
    public void Never_prints_its_bytes()
    {
        using var key = new SecretKey("sesame"u8);
        Assert.Equal("a key of 6 bytes", key.ToString());
        Assert.DoesNotContain("sesame", new TransferSpec("xor", key).ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Is_wiped_on_disposal()
    {
        var key = new SecretKey([1, 2, 3]);
        ReadOnlySpan<byte> bytes = key.Bytes;
        key.Dispose();
        Assert.Equal([0, 0, 0], bytes.ToArray());
        Assert.Throws<ObjectDisposedException>(() => key.Bytes.Length);
    }

    [Fact]
    public void Takes_64_KiB_and_no_more()
    {
        using var key = new SecretKey(new byte[SecretKey.MaxBytes]);
        Assert.Equal(64 * 1024, key.Bytes.Length);
        Assert.Throws<ArgumentException>(() => new SecretKey(new byte[SecretKey.MaxBytes + 1]));
    }
}
