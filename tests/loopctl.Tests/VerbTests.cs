namespace LoopDaemon.CommandLine.Tests;

/// <summary>Verbs called wrongly: no daemon is needed to find that out.</summary>
public sealed class VerbTests
{
    [Theory]
    [InlineData("/nonexistent/tab: cannot read the table of devices: No such file or directory", "apply", "/nonexistent/tab")]
    [InlineData("/: cannot read the table of devices: Is a directory", "apply", "/")]
    [InlineData("no FILE specified: loopctl mount [options] FILE DIR", "mount")]
    [InlineData("no DIR specified: loopctl mount [options] FILE DIR", "mount", "disk.img")]
    [InlineData("unexpected argument 'c': loopctl mount [options] FILE DIR", "mount", "a", "b", "c")]
    [InlineData("no DIR specified: loopctl umount [options] DIR", "umount")]
    [InlineData("no DEV specified: loopctl info [options] DEV...", "info")]
    [InlineData("no DEV specified: loopctl wait [options] DEV", "wait", "--bound")]
    [InlineData("no DEV specified: loopctl rescan [options] DEV", "rescan")]
    [InlineData("unexpected argument 'xor': loopctl transfers [options]", "transfers", "xor")]
    [InlineData("unexpected argument 'b': loopctl help [options] [VERB]", "help", "mount", "b")]
    [InlineData("nonsense: failed to use device: No such device", "wait", "nonsense")]
    [InlineData("failed to parse timeout: 'soon': Invalid argument", "wait", "--timeout", "soon", "loop0")]
    [InlineData("failed to parse timeout: '-1': Invalid argument", "wait", "--timeout=-1", "loop0")]
    [InlineData("failed to parse offset: 'ten': Invalid argument", "mount", "--offset", "ten")]
    [InlineData("no daemon answers on /nonexistent/control: start one with loopd --control /nonexistent/control", "wait", "loop0")]
    [InlineData("no daemon answers on /nonexistent/control: start one with loopd --control /nonexistent/control", "monitor")]
    public void A_wrong_call_is_refused(string complaint, params string[] words) =>
        Assert.Equal(new ProgramRun(1, "", $"loopctl: {complaint}\n"), ProgramRun.Of(ProgramRun.Loopctl, words));

    [Theory]
    [InlineData("unrecognized option '--mfks'", "mount", "--mfks", "ext4", "disk.img", "dir")]
    [InlineData("unrecognized option '--all'", "transfers", "--all")]
    [InlineData("invalid option -- 'l'", "umount", "-l", "dir")]
    [InlineData("option '--timeout' requires an argument", "wait", "--time")]
    [InlineData("option requires an argument -- 't'", "mount", "-rt")]
    [InlineData("option '--o' is ambiguous; possibilities: '--options' '--offset'", "mount", "--o")]
    public void A_wrong_option_is_refused_as_losetup_refuses_one(string complaint, params string[] words)
    {
        ProgramRun refused = ProgramRun.Of(ProgramRun.Loopctl, words);
        Assert.Equal(new ProgramRun(1, "", $"loopctl: {complaint}\nTry 'loopctl --help' for more information.\n"), refused);
    }

    /// <summary>The daemon's socket may be named before the verb as well.</summary>
    [Theory]
    [InlineData("--control", "/nonexistent/other", "transfers")]
    [InlineData("--control=/nonexistent/other", "transfers")]
    [InlineData("transfers", "--control", "/nonexistent/other")]
    [InlineData("transfers", "--contr=/nonexistent/other")]
    [InlineData("--control", "/nonexistent/wrong", "--control", "/nonexistent/other", "transfers")]
    [InlineData("--control", "/nonexistent/other")]
    [InlineData("--json", "--control", "/nonexistent/other")]
    [InlineData("--control", "/nonexistent/other", "--raw")]
    public void A_socket_is_named_anywhere(params string[] words) => Assert.StartsWith(
        "loopctl: no daemon answers on /nonexistent/other:", ProgramRun.Of(ProgramRun.Loopctl, words).Error, StringComparison.Ordinal);

    /// <summary>A word is a verb only where a verb can be.</summary>
    [Fact]
    public void Behind_an_option_a_verb_is_an_operand() => Assert.Equal(
        new ProgramRun(1, "", "loopctl: mount: failed to use device: No such device (did you mean loopctl mount?)\n"), ProgramRun.Of(ProgramRun.Loopctl, "-n", "mount"));

    [Fact]
    public void What_nobody_reads_is_no_error() => Assert.Equal(
        "1\n", ProgramRun.Of("bash", "-c", $"'{ProgramRun.Loopctl}' --help | true; echo ${{PIPESTATUS[0]}}").Output);

    [Fact]
    public void A_full_disk_is_said_as_losetup_says_it()
    {
        ProgramRun.SkipUnlessLosetup();
        ProgramRun expected = ProgramRun.Of("bash", "-c", $"{ProgramRun.Losetup} --help > /dev/full").AsLoopctl();
        Assert.Equal(expected, ProgramRun.Of("bash", "-c", $"'{ProgramRun.Loopctl}' --help > /dev/full"));
    }
}
