using System.Text;
using LoopDaemon.CommandLine.Keys;

namespace LoopDaemon.CommandLine.Tests.Keys;

/// <summary>The keys of Debian's losetup; OpenSSL hashes for the judge.</summary>
public sealed class DebianKeyDerivationTests
{
    // openssl dgst -ripemd160 of "secret" and of "Asecret".
    private const string Digest = "cd98bf0202ef07e38e87f6bd9445e5e7331e2c78";
    private const string DigestAfterA = "104677e9f86c16552856dae842f4bc1356932cda";

    [Theory]
    [InlineData(null, 64)]
    [InlineData(256, 64)]
    [InlineData(192, 48)]
    [InlineData(160, 40)]
    [InlineData(128, 32)]
    [InlineData(8, 2)]
    public void A_key_is_the_beginning_of_two_digests(int? keyBits, int hexDigits)
    {
        Assert.Equal((Digest + DigestAfterA)[..hexDigits], Hex(Derived.Key("secret", "aes", "debian", keyBits)));
        if (keyBits is not null)
            Assert.Equal((Digest + DigestAfterA)[..hexDigits], Hex(Derived.Key("secret", "aes", keyBits: keyBits)));
    }

    [Theory]
    [InlineData("debian", null)]
    [InlineData("debian", 128)]
    [InlineData(null, null)]
    [InlineData(null, 128)]
    public void Without_hashing_the_key_is_that_of_2_12q_however_many_bits_were_asked_for(string? version, int? keyBits)
    {
        string key = Encoding.ASCII.GetString(Derived.Key("0123456789012345678901234567890123456789", "aes", version, keyBits, noHash: true));
        Assert.Equal("0123456789012345678901234567890\0", key);
    }

    [Theory]
    [InlineData(null, false)]
    [InlineData(128, false)]
    [InlineData(128, true)]
    public void Xor_is_never_hashed(int? keyBits, bool noHash)
    {
        foreach (string transfer in (string[])["xor", "1"])
            Assert.Equal("secret" + new string('\0', 26), Encoding.ASCII.GetString(Derived.Key("secret", transfer, "debian", keyBits, noHash: noHash)));
    }

    [Theory]
    [InlineData("x")]
    [InlineData("größe☃ with spaces 'and' \"quotes\"")]
    [InlineData("0123456789012345678901234567890123456789012345678901234567890123456789")]
    public void OpenSSL_hashes_alike(string passphrase) => Assert.Equal(OpenSsl(passphrase), Hex(Derived.Key(passphrase, "twofish", "debian")));

    [Theory]
    [InlineData(55)]
    [InlineData(56)]
    [InlineData(63)]
    [InlineData(64)]
    [InlineData(128)]
    [InlineData(129)]
    [InlineData(130)]
    [InlineData(Passphrase.MaxBytes)]
    public void OpenSSL_hashes_pass_phrases_of_all_lengths_alike(int bytes)
    {
        string passphrase = string.Concat(Enumerable.Range(0, bytes).Select(i => (char)('!' + i % 90)));
        Assert.Equal(OpenSsl(passphrase), Hex(Derived.Key(passphrase, "aes", "debian")));
    }

    private static string OpenSsl(string passphrase)
    {
        Bash.SkipUnlessInstalled("openssl");
        string digests = Encoding.ASCII.GetString(Bash.Run("""
            for prefix in '' A; do
                printf %s "$prefix$1" | openssl dgst -provider default -provider legacy -ripemd160 -r | cut -d' ' -f1 | tr -d '\n'
            done
            """, [], passphrase));
        Assert.Equal(80, digests.Length);
        return digests[..64];
    }

    private static string Hex(byte[] key) => Convert.ToHexStringLower(key);
}
