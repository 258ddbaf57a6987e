using System.Text;

namespace LoopDaemon.CommandLine.Tests.Keys;

/// <summary>The keys of util-linux, worked out by hand from its sources.</summary>
public sealed class LosetupKeyDerivationTests
{
    private const string Bytes30 = "012345678901234567890123456789";

    [Theory]
    [InlineData("x", "x")]
    [InlineData("secret", "secret")]
    [InlineData(Bytes30, Bytes30)]
    [InlineData(Bytes30 + "A", Bytes30 + "A")]
    [InlineData(Bytes30 + "AB", Bytes30 + "A")]
    [InlineData(Bytes30 + "ABCDEF", Bytes30 + "A")]
    public void Xor_in_2_11_and_2_12_is_the_pass_phrase_up_to_31_bytes(string passphrase, string key)
    {
        foreach (string transfer in (string[])["xor", "XOR", "1"])
        {
            Assert.Equal(key, Key(passphrase, transfer, "2.11"));
            Assert.Equal(key, Key(passphrase, transfer, "2.12"));
        }
    }

    [Theory]
    [InlineData("abc", "abc\0\0\0\0\0")]
    [InlineData("abcdefgh", "abcdefgh")]
    [InlineData("abcdefghi", "abcdefgh")]
    public void Des_in_2_11_is_8_bytes(string passphrase, string key)
    {
        Assert.Equal(key, Key(passphrase, "DES", "2.11"));
        Assert.Equal(key, Key(passphrase, "2", "2.11"));
    }

    [Theory]
    [InlineData("aes")]
    [InlineData("16")]
    [InlineData("18")]
    public void Ciphers_had_no_key_in_2_11(string transfer)
    {
        var refused = Assert.Throws<CommandException>(() => Key("secret", transfer, "2.11"));
        Assert.Equal($"losetup 2.11 made keys for xor and des alone, not for {transfer}: try another --key-compat", refused.Message);
    }

    [Theory]
    [InlineData("aes", "2.12")]
    [InlineData("aes", "2.12q")]
    [InlineData("aes", null)]
    [InlineData("18", null)]
    [InlineData("xor", "2.12q")]
    [InlineData("xor", null)]
    [InlineData("1", null)]
    public void A_padded_key_is_32_bytes_and_the_last_one_zero(string transfer, string? version)
    {
        Assert.Equal("secret" + new string('\0', 26), Key("secret", transfer, version));
        Assert.Equal(Bytes30 + "\0\0", Key(Bytes30, transfer, version));
        Assert.Equal(Bytes30 + "A\0", Key(Bytes30 + "A", transfer, version));
        Assert.Equal(Bytes30 + "A\0", Key(Bytes30 + "AB", transfer, version));
        Assert.Equal(Bytes30 + "A\0", Key(Bytes30 + "ABCDEF", transfer, version));
    }

    /// <summary>Its length was that of the pass phrase, its bytes those of a string in 32 bytes with a NUL at the end.</summary>
    [Theory]
    [InlineData("xor")]
    [InlineData("aes")]
    public void A_key_of_2_12j_is_as_long_as_the_pass_phrase_up_to_32_bytes(string transfer)
    {
        Assert.Equal("secret", Key("secret", transfer, "2.12j"));
        Assert.Equal(Bytes30 + "A", Key(Bytes30 + "A", transfer, "2.12j"));
        Assert.Equal(Bytes30 + "A\0", Key(Bytes30 + "AB", transfer, "2.12j"));
        Assert.Equal(Bytes30 + "A\0", Key(Bytes30 + "ABCDEF", transfer, "2.12j"));
    }

    [Fact]
    public void Bytes_are_taken_as_they_are_whatever_they_encode() =>
        Assert.Equal("größe☃", Encoding.UTF8.GetString(Derived.Key("größe☃", "xor", "2.11")));

    private static string Key(string passphrase, string transfer, string? version) =>
        Encoding.ASCII.GetString(Derived.Key(passphrase, transfer, version));
}
