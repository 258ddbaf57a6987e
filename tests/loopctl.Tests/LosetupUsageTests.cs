using CsCheck;

namespace LoopDaemon.CommandLine.Tests;

/// <summary>Wrong command lines, given to losetup and to loopctl: the same words on the same stream, the same exit code. No
/// line here binds, detaches or changes anything, whoever runs it.</summary>
public sealed class LosetupUsageTests
{
    /// <summary>A device that exists at the kernel, and one of ours.</summary>
    private const string KernelDevice = "/dev/loop0", OurDevice = "loop0";

    /// <summary>The options of losetup 2.38.1, with a value where they need one.</summary>
    private static readonly string[][] Options =
    [
        ["-a"], ["-d", "DEV"], ["--detach-all"], ["-f"], ["--set-capacity", "DEV"], ["-j", "/nonexistent"], ["-L"], ["-o", "512"], ["--sizelimit", "512"],
        ["--sizelimit=0"], ["-b", "512"], ["-P"], ["--read-only"], ["--direct-io"], ["--direct-io=off"], ["--show"], ["-v"], ["-J"], ["--list"], ["-n"],
        ["-O", "NAME"], ["--output-all"], ["--raw"],
    ];

    /// <summary>Those of the above that change nothing, by themselves or together; but for --output-all, which here lists by
    /// itself as it does in later versions.</summary>
    private static readonly string[][] Harmless =
        [.. Options.Where(option => option[0] is not ("--detach-all" or "-d" or "--set-capacity" or "--output-all"))];

    [Theory]
    [InlineData("--nope")]
    [InlineData("--nope=3")]
    [InlineData("-x")]
    [InlineData("-xyz")]
    [InlineData("-fx")]
    [InlineData("-f", "-lx", "-y")]
    [InlineData("-d")]
    [InlineData("-fd")]
    [InlineData("-o")]
    [InlineData("-fo")]
    [InlineData("--offset")]
    [InlineData("--off")]
    [InlineData("-j")]
    [InlineData("--set-capacity")]
    [InlineData("--show=1")]
    [InlineData("--detach-al=4")]
    [InlineData("--s")]
    [InlineData("--a")]
    [InlineData("--d")]
    [InlineData("--r")]
    [InlineData("--n")]
    [InlineData("--o=3")]
    [InlineData("--v")]
    [InlineData("--direct-io=")]
    [InlineData("--direct-io=ON")]
    [InlineData("--dir=foo")]
    [InlineData("-o", "--", "-f")]
    [InlineData("-o", "")]
    [InlineData("-ox")]
    [InlineData("-o-5")]
    [InlineData("--offset=18446744073709551616")]
    [InlineData("--sizelimit", "1.5")]
    [InlineData("-b", "x")]
    [InlineData("-b", "99999999999999999999")]
    [InlineData("--")]
    [InlineData("-")]
    [InlineData("nonsense")]
    [InlineData("-l", "nonsense")]
    [InlineData("--", "-f")]
    [InlineData("")]
    [InlineData("-d", "nonsense")]
    [InlineData("-d", "nonsense", "--nope")]
    [InlineData("-c", "nonsense", "-a")]
    [InlineData("-dc")]
    [InlineData("-r", "nonsense")]
    [InlineData("-f", "/nonexistent", "more")]
    [InlineData("/nonexistent", "-f", "more")]
    [InlineData("-f", "/nonexistent")]
    [InlineData("-f", "")]
    [InlineData("-f", "/")]
    [InlineData("-f", "--show", "/nonexistent", "-o", "1M", "-rP", "--direct-io", "-b", "4096", "-L")]
    [InlineData("-O", "foo")]
    [InlineData("-O", "NAME,foo,RO")]
    [InlineData("-O", "+foo")]
    [InlineData("-O", ",")]
    [InlineData("-O", "NAME,")]
    [InlineData("-O", " NAME")]
    [InlineData("--output=NAMES", "-j", "/nonexistent")]
    [InlineData("-l", "-D")]
    [InlineData("-J", "--raw")]
    public void A_wrong_command_line_fails_with_the_same_words(params string[] words)
    {
        ProgramRun.SkipUnlessLosetup();
        ProgramRun expected = ProgramRun.Of(ProgramRun.Losetup, words).AsLoopctl();
        Assert.Equal(1, expected.ExitCode);
        Assert.Equal(expected, ProgramRun.Of(ProgramRun.Loopctl, words));
    }

    /// <summary>losetup says nothing here and fails.</summary>
    [Theory]
    [InlineData("", "")]
    [InlineData("+", "")]
    [InlineData(",NAME", ",NAME")]
    [InlineData("NAME,,RO", ",RO")]
    public void An_empty_column_is_named_where_losetup_is_silent(string columns, string rest)
    {
        ProgramRun.SkipUnlessLosetup();
        Assert.Equal(new ProgramRun(1, "", ""), ProgramRun.Of(ProgramRun.Losetup, "-O", columns));
        Assert.Equal(new ProgramRun(1, "", $"loopctl: unknown column: {rest}\n"), ProgramRun.Of(ProgramRun.Loopctl, "-O", columns));
    }

    /// <summary>Each pair in each order, with a mistake behind it that ends the line for those that go together.</summary>
    [Fact]
    public void The_same_pairs_of_options_exclude_each_other()
    {
        ProgramRun.SkipUnlessLosetup();
        var differences = new List<string>();
        var pairs = Options.SelectMany(first => Options.Select(second => (string[])[.. first, .. second, "--nope"])).ToList();
        int exclusive = 0;
        Parallel.ForEach(pairs, pair =>
        {
            ProgramRun expected = ProgramRun.Of(ProgramRun.Losetup, pair.Select(word => word == "DEV" ? KernelDevice : word)).AsLoopctl();
            string complaint = ComplaintOf([.. pair.Select(word => word == "DEV" ? OurDevice : word)]);
            if (expected.Error.StartsWith("loopctl: mutually exclusive arguments: ", StringComparison.Ordinal))
                Interlocked.Increment(ref exclusive);
            if (expected.Error.Split('\n')[0] == $"loopctl: {complaint}" && expected.ExitCode == 1)
                return;
            lock (differences)
                differences.Add($"{string.Join(' ', pair)}: {expected.Error.Trim()} / {complaint}");
        });
        Assert.Empty(differences);
        Assert.True(exclusive > 30, $"only {exclusive} of {pairs.Count} pairs exclude each other");
    }

    /// <summary>Where losetup lists or prints a free device, loopctl goes and asks the daemon, and there is none here. (Of
    /// --direct-io on and off in one line losetup heeds the first for one thing and the last for another.)</summary>
    [Fact]
    public void Any_combination_is_refused_for_the_same_reason_or_none()
    {
        ProgramRun.SkipUnlessLosetup();
        Gen<string[]> operands = Gen.OneOf<string[]>([], [], ["nonsense"], ["/nonexistent"]);
        Gen.Select(Gen.OneOf<string[]>(Harmless).Array[0, 4], operands, (options, names) => (string[])[.. options.SelectMany(option => option), .. names])
            .Where(words => !(words.Contains("--direct-io") && words.Contains("--direct-io=off")))
            .Sample(words =>
            {
                ProgramRun expected = ProgramRun.Of(ProgramRun.Losetup, words).AsLoopctl();
                string complaint = ComplaintOf(words);
                if (expected.ExitCode == 0)
                    Assert.StartsWith("no daemon answers on ", complaint, StringComparison.Ordinal);
                else
                    Assert.Equal(expected.Error.Split('\n')[0], $"loopctl: {complaint}");
            }, iter: 500);
    }

    [Theory]
    [InlineData("--remove", "-d", "loop0")]
    [InlineData("-D", "--remove")]
    [InlineData("-a", "--remove")]
    [InlineData("--remove", "-f")]
    [InlineData("-c", "loop0", "--remove")]
    [InlineData("-j", "disk.img", "--remove")]
    public void Remove_excludes_what_it_excludes_in_later_versions(params string[] words) => Assert.Equal(
        "mutually exclusive arguments: --detach-all --all --set-capacity --detach --find --associated --remove", ComplaintOf(words));

    [Theory]
    [InlineData("-l", "mutually exclusive arguments: --detach-all --set-capacity --detach --find --list --remove")]
    [InlineData("-O", "mutually exclusive arguments: --output --remove")]
    [InlineData("-r", "the options --{sizelimit,partscan,read-only,show} are allowed during loop device setup only")]
    [InlineData("-o", "the option --offset is not allowed in this context")]
    [InlineData("-v", "no loop device specified")]
    public void Remove_goes_by_the_other_rules_too(string option, string complaint)
    {
        string[] value = option is "-O" or "-o" ? ["0"] : [];
        string[] device = option is "-v" ? [] : ["loop0"];
        Assert.Equal(complaint, ComplaintOf(["--remove", option, .. value, .. device]));
    }

    [Theory]
    [InlineData("-a", "-e", "xor")]
    [InlineData("-l", "--key-file", "key")]
    [InlineData("-f", "--autoclear")]
    [InlineData("loop0", "--group", "root")]
    [InlineData("-d", "loop0", "--mode", "0660")]
    [InlineData("-c", "loop0", "--allow-discards")]
    [InlineData("-D", "-p", "3")]
    [InlineData("-j", "disk.img", "-N")]
    public void Our_own_options_of_setup_are_for_setup_only(params string[] words) => Assert.Equal(
        "the options --{encryption,key-file,pass-fd,keybits,phash,nohashpass,key-compat,verify-passphrase,allow-discards,sectors-from,autoclear,group,mode,passthrough} "
        + "are allowed during loop device setup only", ComplaintOf(words));

    /// <summary>Options that losetup lacks leave the short forms of its own alone.</summary>
    [Theory]
    [InlineData("--al")]
    [InlineData("--re")]
    [InlineData("--no=")]
    [InlineData("--sh")]
    [InlineData("--j")]
    [InlineData("--p")]
    [InlineData("--ver")]
    [InlineData("--se")]
    [InlineData("--h=1")]
    public void An_abbreviation_means_what_it_means_to_losetup(string word)
    {
        ProgramRun.SkipUnlessLosetup();
        ProgramRun expected = ProgramRun.Of(ProgramRun.Losetup, word, "-J", "--raw").AsLoopctl();
        Assert.Equal(expected, ProgramRun.Of(ProgramRun.Loopctl, word, "-J", "--raw"));
    }

    [Theory]
    [InlineData("--key-f", "option '--key-file' requires an argument")]
    [InlineData("--enc", "option '--encryption' requires an argument")]
    [InlineData("--key", "option '--key' is ambiguous; possibilities: '--key-file' '--keybits' '--key-compat'")]
    public void Our_own_options_can_be_abbreviated(string word, string complaint) => Assert.Equal(complaint, ComplaintOf([word]));

    /// <summary>The words about the daemon do not count where losetup counts words.</summary>
    [Theory]
    [InlineData("nonsense: failed to use device: No such device", "nonsense", "--control", "/nonexistent/control")]
    [InlineData("no loop device specified", "-n", "--control=/nonexistent/control", "--json")]
    public void The_daemon_can_be_named_anywhere(string complaint, params string[] words) => Assert.Equal(complaint, ComplaintOf(words));

    [Theory]
    [InlineData("mnt", "mount")]
    [InlineData("unmount", "umount")]
    [InlineData("trasnfers", "transfers")]
    [InlineData("Info", "info")]
    [InlineData("monitr", "monitor")]
    public void A_mistyped_verb_is_guessed(string word, string verb)
    {
        Assert.Equal($"{word}: failed to use device: No such device (did you mean loopctl {verb}?)", ComplaintOf([word]));
        Assert.Equal($"{word}: failed to use device: No such device (did you mean loopctl {verb}?)", ComplaintOf([word, "disk.img", "/mnt"]));
    }

    [Theory]
    [InlineData("-h")]
    [InlineData("--help")]
    [InlineData("--he")]
    [InlineData("-fh", "--nope")]
    [InlineData("-V")]
    [InlineData("-hV")]
    [InlineData("-Vh", "-x")]
    public void Help_and_version_go_before_what_is_wrong_behind_them(params string[] words)
    {
        ProgramRun losetup = ProgramRun.Of(ProgramRun.Losetup, words).Succeeded(), loopctl = ProgramRun.Of(ProgramRun.Loopctl, words).Succeeded();
        Assert.Equal(losetup.Output.StartsWith("losetup from ", StringComparison.Ordinal), loopctl.Output.StartsWith("loopctl from ", StringComparison.Ordinal));
        Assert.Equal("", loopctl.Error);
    }

    [Fact]
    public void The_version_has_losetups_form()
    {
        ProgramRun.SkipUnlessLosetup();
        const string Form = @"^[a-z]+ from [A-Za-z-]+ \d+\.\d+\.\d+\n$";
        Assert.Matches(Form, ProgramRun.Of(ProgramRun.Losetup, "-V").Output);
        Assert.Matches(Form, ProgramRun.Of(ProgramRun.Loopctl, "-V").Output);
        Assert.Equal("loopctl from LoopDaemon 0.1.0\n", ProgramRun.Of(ProgramRun.Loopctl, "--version").Output);
    }

    /// <summary>What loopctl complains of, in this process, for lines that end before they reach a daemon.</summary>
    private static string ComplaintOf(IReadOnlyList<string> words)
    {
        try
        {
            Invocation.Read(["--control", "/nonexistent/control", .. words]).Run();
            return "";
        }
        catch (CommandException complaint)
        {
            return complaint.Message;
        }
    }
}
