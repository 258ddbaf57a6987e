using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using CsCheck;
using LoopDaemon.CommandLine.Keys;

namespace LoopDaemon.CommandLine.Tests.Keys;

/// <summary>The keys of loop-AES. The judge is its sister aespipe: what it encrypts with a pass phrase, the key decrypts.</summary>
public sealed class LoopAesKeyDerivationTests
{
    private const int SectorBytes = 512;

    private static readonly byte[] Plain = RandomNumberGenerator.GetBytes(5 * SectorBytes);

    private static readonly Gen<byte[]> GenPassphrase =
        // aespipe wants 20 bytes at least.
        Gen.Byte.Where(value => value is not 0 and not (byte)'\n').Array[20, 300];

    public static TheoryData<string, string?> Ciphers => new MatrixTheoryData<string, string?>(
        ["AES128", "AES192", "AES256"], [null, "sha256", "sha384", "sha512", "rmd160", "unhashed1", "unhashed2"]);

    [Theory]
    [MemberData(nameof(Ciphers))]
    public void Aespipe_encrypts_with_the_same_key(string cipher, string? hash)
    {
        foreach (string passphrase in (string[])
            [
                "just twenty letters!",
                "correct horse battery staple",
                "./0123456789ABCDEFGHIJKLMNOPQRS",
                "TUVWXYZabcdefghijklmnopqrstuvwxy",
                "z ~größe☃ and other characters that are no digit",
                new string('x', 41) + "y",
                new string('x', 42) + "y",
                new string('x', 127) + "yz",
                new string('x', 127) + "yzA",
            ])
            AssertDecrypts(cipher, hash, Encoding.UTF8.GetBytes(passphrase));
    }

    [Theory]
    [InlineData("rmd160")]
    [InlineData("unhashed2")]
    public void Aespipe_takes_short_pass_phrases_for_some_hashes(string hash)
    {
        AssertDecrypts("AES256", hash, "x"u8.ToArray());
        AssertDecrypts("AES128", hash, "secret"u8.ToArray());
    }

    [Theory]
    [MemberData(nameof(Ciphers))]
    public void Any_pass_phrase_gives_the_key_of_aespipe(string cipher, string? hash) =>
        GenPassphrase.Sample(passphrase => AssertDecrypts(cipher, hash, passphrase), iter: 10, threads: 1);

    [Fact]
    public void Names_of_hashes_are_written_in_any_case() =>
        Assert.Equal(Derived.Key("correct horse battery staple", "aes256", hash: "unhashed1"), Derived.Key("correct horse battery staple", "aes256", hash: "Unhashed1"));

    [Theory]
    [InlineData("aes", 16)]
    [InlineData("AES128", 16)]
    [InlineData("aes192", 24)]
    [InlineData("AES256", 32)]
    [InlineData("aes-256", 32)]
    [InlineData("twofish", 16)]
    [InlineData("twofish160", 20)]
    [InlineData("blowfish192", 24)]
    [InlineData("serpent256", 32)]
    [InlineData("serpent512", 32)]
    [InlineData("rc6", 16)]
    [InlineData("rc6-192", 24)]
    [InlineData("mars128", 16)]
    [InlineData("tripleDES", 21)]
    [InlineData("3des", 24)]
    [InlineData("des3_ede", 24)]
    [InlineData("aes-cbc", 32)]
    [InlineData("aes-cbc-plain64", 32)]
    [InlineData("camellia", 32)]
    [InlineData("18", 32)]
    public void The_name_says_how_long_the_key_is(string transfer, int bytes)
    {
        byte[] key = Derived.Key("secret", transfer, hash: "sha512");
        Assert.Equal(SHA512.HashData("secret"u8)[..bytes], key);
    }

    [Theory]
    [InlineData("aes128", "2bb80d537b1da3e38bd30361aa855686")]
    [InlineData("aes192", "58a775ba4112be3005ae4407ce757d88fda71d40497bb802")]
    [InlineData("aes256", "bd2b1aaf7ef4f09be9f52ce2d8d599674d81aa9d6a4421696dc4d93dd0619d68")]
    [InlineData("aes-cbc", "bd2b1aaf7ef4f09be9f52ce2d8d599674d81aa9d6a4421696dc4d93dd0619d68")]
    [InlineData("twofish160", "2bb80d537b1da3e38bd30361aa855686bde0eacd")]
    public void The_length_says_what_hashes_where_nothing_else_does(string transfer, string key) =>
        Assert.Equal(key, Convert.ToHexStringLower(Derived.Key("secret", transfer, "loop-aes")));

    [Theory]
    [InlineData("aes", 256, "sha256", "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b")]
    [InlineData("aes-cbc", 128, "sha256", "2bb80d537b1da3e38bd30361aa855686")]
    [InlineData("aes-cbc", 192, null, "58a775ba4112be3005ae4407ce757d88fda71d40497bb802")]
    [InlineData("aes256", 40, "unhashed2", "7365637265")]
    public void Keybits_goes_before_the_name(string transfer, int keyBits, string? hash, string key) =>
        Assert.Equal(key, Convert.ToHexStringLower(Derived.Key("secret", transfer, "loop-aes", keyBits, hash)));

    [Theory]
    [InlineData(null)]
    [InlineData("sha512")]
    [InlineData("unhashed1")]
    public void Xor_is_the_pass_phrase_up_to_31_bytes_whatever_the_hash(string? hash)
    {
        Assert.Equal("secret"u8, Derived.Key("secret", "xor", "loop-aes", hash: hash));
        Assert.Equal("0123456789012345678901234567890"u8, Derived.Key("0123456789012345678901234567890123456789", "1", "loop-aes", hash: hash));
    }

    private static void AssertDecrypts(string cipher, string? hash, byte[] passphrase)
    {
        Bash.SkipUnlessInstalled("aespipe");
        string file = Path.GetTempFileName();
        byte[] encrypted;
        try
        {
            File.WriteAllBytes(file, passphrase);
            string[] options = hash is null ? [] : ["-H", hash];
            encrypted = Bash.Run("file=$1; shift; aespipe \"$@\" -p 3 3< \"$file\"", Plain, [file, "-e", cipher, .. options]);
        }
        finally
        {
            File.Delete(file);
        }
        Assert.NotEqual(Plain, encrypted);
        using var aes = Aes.Create();
        aes.Key = Derived.Key(passphrase, cipher, KeyDerivation.Choose("loop-aes", keyBits: null, hash, noHash: false));
        Assert.Equal(Plain, Decrypt(aes, encrypted));
    }

    /// <summary>Each sector is a chain of its own, with its number as the initialization vector.</summary>
    private static byte[] Decrypt(Aes aes, byte[] image) =>
        [.. image.Chunk(SectorBytes).SelectMany((sector, number) =>
        {
            byte[] vector = new byte[16];
            BinaryPrimitives.WriteInt64LittleEndian(vector, number);
            return aes.DecryptCbc(sector, vector, PaddingMode.None);
        })];
}
