using LoopDaemon.CommandLine.Keys;

namespace LoopDaemon.CommandLine.Tests.Keys;

/// <summary>Which rules the options choose, and which of them contradict each other.</summary>
public sealed class KeyDerivationTests
{
    [Theory]
    [InlineData(null, null, null, false, "2.12q")]
    [InlineData(null, 256, null, false, "debian")]
    [InlineData(null, null, null, true, "2.12q")]
    [InlineData(null, null, "sha512", false, "loop-aes")]
    [InlineData(null, 256, "sha512", false, "loop-aes")]
    public void An_option_stands_for_the_family_that_had_it(string? version, int? keyBits, string? hash, bool noHash, string same) =>
        Assert.Equal(Derived.Key("secret", "aes256", same), Derived.Key("secret", "aes256", version, keyBits, hash, noHash));

    [Theory]
    [InlineData(null, null, "sha256", true, "--nohashpass does not go with --phash")]
    [InlineData("loop-aes", null, null, true, "--nohashpass does not go with --key-compat loop-aes")]
    [InlineData("debian", null, "rmd160", false, "--phash does not go with --key-compat debian")]
    [InlineData("2.11", null, "rmd160", false, "--phash does not go with --key-compat 2.11")]
    [InlineData("2.12", null, null, true, "--nohashpass does not go with --key-compat 2.12")]
    [InlineData("2.12j", 128, null, false, "--keybits does not go with --key-compat 2.12j")]
    [InlineData("2.12q", 128, "sha256", true, "--phash does not go with --key-compat 2.12q")]
    [InlineData("2.13", null, null, false, "there is no --key-compat 2.13, only 2.11, 2.12, 2.12j, 2.12q, debian, loop-aes")]
    [InlineData(null, null, "md5", false, "there is no --phash md5, only sha256, sha384, sha512, rmd160, unhashed1, unhashed2")]
    [InlineData(null, 0, null, false, "--keybits must be a multiple of 8 from 8 to 256, not 0")]
    [InlineData(null, -8, null, false, "--keybits must be a multiple of 8 from 8 to 256, not -8")]
    [InlineData(null, 100, null, false, "--keybits must be a multiple of 8 from 8 to 256, not 100")]
    [InlineData(null, 264, "sha512", false, "--keybits must be a multiple of 8 from 8 to 256, not 264")]
    public void What_does_not_go_together_is_one_sentence(string? version, int? keyBits, string? hash, bool noHash, string sentence) =>
        Assert.Equal(sentence, Assert.Throws<CommandException>(() => KeyDerivation.Choose(version, keyBits, hash, noHash)).Message);

    [Fact]
    public void A_wiped_pass_phrase_makes_no_key()
    {
        Passphrase passphrase = Derived.Read("secret"u8.ToArray());
        passphrase.Dispose();
        Assert.Throws<ObjectDisposedException>(() => KeyDerivation.Choose(null, null, null, false).Derive(passphrase, "xor"));
    }
}
