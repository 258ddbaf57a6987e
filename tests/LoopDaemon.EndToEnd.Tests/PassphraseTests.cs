using System.Text;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>Pass phrases, from a descriptor and from a terminal, through the whole chain: what an old losetup wrote is read,
/// and the other way round.</summary>
public sealed class PassphraseTests(SharedLoopd shared) : IClassFixture<SharedLoopd>
{
    private const string Secret = "correct horse";
    private const int ImageBytes = 64 << 10;

    private readonly Loopd _loopd = shared.Fresh();

    [Theory]
    [InlineData("xor", "", 32)]
    [InlineData("1", "", 32)]
    [InlineData("xor", "--key-compat 2.12q", 32)]
    [InlineData("xor", "--key-compat=2.11", 13)]
    [InlineData("xor", "--key-compat 2.12", 13)]
    [InlineData("xor", "--key-compat 2.12j", 13)]
    [InlineData("xor", "-k 128", 32)]
    [InlineData("xor", "-N", 32)]
    [InlineData("xor", "-H sha256", 13)]
    public void A_pass_phrase_becomes_the_key_that_the_old_losetup_made(string transfer, string options, int keyBytes)
    {
        string image = _loopd.MakeFile("disk.img", ImageBytes);
        Bash($"printf '{Secret}\\nnot this' | {Loopctl} -f -e {transfer} -p 0 {options} {image}");
        byte[] key = new byte[keyBytes];
        Encoding.ASCII.GetBytes(Secret).CopyTo(key, 0);
        Assert.Equal(TransferStack.Xor(_loopd, key).Decode(File.ReadAllBytes(image)), File.ReadAllBytes(_loopd.Device(0)));
        Assert.EndsWith(", encryption XOR (type 1)\n", _loopd.Control("-a").Succeeded().Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Of_a_long_pass_phrase_31_bytes_count()
    {
        string image = _loopd.MakeFile("disk.img", ImageBytes);
        Bash($"printf '%s' 0123456789abcdef0123456789abcdefXYZ | {Loopctl} -f -e xor -p 0 {image}");
        byte[] key = new byte[32];
        "0123456789abcdef0123456789abcde"u8.CopyTo(key);
        Assert.Equal(TransferStack.Xor(_loopd, key).Decode(File.ReadAllBytes(image)), File.ReadAllBytes(_loopd.Device(0)));
    }

    [Fact]
    public void Each_transfer_of_a_pipeline_takes_a_line_and_one_with_a_file_takes_none()
    {
        string image = _loopd.MakeFile("disk.img", ImageBytes);
        byte[] fileKey = TransferStack.Key(20), first = new byte[32], second = new byte[32];
        "one"u8.CopyTo(first);
        "two"u8.CopyTo(second);
        string file = _loopd.MakeFile("key", fileKey);
        Bash($"{Loopctl} -f -e xor -e xor:key-file={file} -e none -e xor -p 9 9< <(printf 'one\\ntwo\\n') {image}");
        TransferStack stack = TransferStack.Xor(_loopd, first, fileKey, second);
        Assert.Equal(stack.Decode(File.ReadAllBytes(image)), File.ReadAllBytes(_loopd.Device(0)));
    }

    [Fact]
    public void On_a_terminal_it_is_asked_for()
    {
        Requirements.SkipUnlessInstalled("script");
        string image = _loopd.MakeFile("disk.img", ImageBytes);
        string seen = Bash($"(sleep 1; echo '{Secret}'; sleep 1) | script -qec \"{Loopctl} -f -e xor {image}\" /dev/null");
        Assert.Contains("Password: ", seen, StringComparison.Ordinal);
        Assert.DoesNotContain(Secret, seen, StringComparison.Ordinal);
        byte[] key = new byte[32];
        Encoding.ASCII.GetBytes(Secret).CopyTo(key, 0);
        Assert.Equal(TransferStack.Xor(_loopd, key).Decode(File.ReadAllBytes(image)), File.ReadAllBytes(_loopd.Device(0)));
    }

    [Fact]
    public void Two_that_differ_bind_nothing()
    {
        Requirements.SkipUnlessInstalled("script");
        string image = _loopd.MakeFile("disk.img", ImageBytes);
        string seen = Shell.Run("bash", "-c",
            $"(sleep 1; echo one; sleep 1; echo two; sleep 1) | script -qec \"{Loopctl} -f --verify-passphrase -e xor {image}\" /dev/null").Output;
        Assert.Contains("the two pass phrases differ", seen, StringComparison.Ordinal);
        Assert.Empty(_loopd.List());
    }

    [Theory]
    [InlineData("give it with --key-file FILE or --pass-fd N", "-e", "xor")]
    [InlineData("there is no terminal to ask for the pass phrase on", "-e", "xor", "--verify-passphrase")]
    [InlineData("cannot read the pass phrase from file descriptor 77", "-e", "xor", "-p", "77")]
    [InlineData("the pass phrase from file descriptor 0 is empty", "-e", "xor", "-p", "0")]
    [InlineData("failed to parse pass-fd: 'x'", "-e", "xor", "-p", "x")]
    [InlineData("a pass phrase needs a transfer", "-p", "0")]
    [InlineData("there is no --key-compat 2.99", "-e", "xor", "--key-compat", "2.99")]
    [InlineData("there is no --phash md5", "-e", "xor", "-H", "md5")]
    [InlineData("--keybits must be a multiple of 8", "-e", "xor", "-k", "12")]
    [InlineData("--phash does not go with --key-compat debian", "-e", "xor", "-H", "sha256", "--key-compat", "debian")]
    public void What_gives_no_key_is_refused(string reason, params string[] options)
    {
        _loopd.Control(["-f", _loopd.MakeFile("disk.img", ImageBytes), .. options]).Refused(reason);
        Assert.Empty(_loopd.List());
    }

    [Fact]
    public void A_key_file_and_a_pass_phrase_exclude_each_other() =>
        _loopd.Control("-f", _loopd.MakeFile("disk.img", ImageBytes), "-e", "xor", "--key-file", _loopd.MakeFile("key", 16), "-p", "0")
            .Refused("--key-file gives the key itself");

    private string Loopctl => $"{Loopd.ControlProgram} --control {_loopd.Socket}";

    private static string Bash(string script) => Shell.Bash(script);
}
