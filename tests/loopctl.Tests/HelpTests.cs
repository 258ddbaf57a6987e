using System.Text.RegularExpressions;

namespace LoopDaemon.CommandLine.Tests;

/// <summary>Help that a person can use, and that says all there is.</summary>
public sealed partial class HelpTests
{
    public static TheoryData<string> VerbNames => [.. Verbs.All.Select(verb => verb.Name)];

    [Fact]
    public void Every_option_of_losetup_is_in_our_help()
    {
        ProgramRun.SkipUnlessLosetup();
        string losetup = ProgramRun.Of(ProgramRun.Losetup, "--help").Succeeded().Output, ours = Help();
        string[] names = [.. LongOption().Matches(losetup).Select(match => match.Value).Distinct()];
        Assert.Equal(23, names.Length);
        Assert.All(names, name => Assert.Matches($@"(?m)^ .*{name}\b", ours));
        string[] letters = [.. Letter().Matches(losetup).Select(match => match.Groups[1].Value)];
        Assert.Equal(18, letters.Length);
        Assert.All(letters, letter => Assert.Matches($@"(?m)^ {letter}, ", ours));
    }

    [Fact]
    public void The_columns_are_listed_as_losetup_lists_them()
    {
        ProgramRun.SkipUnlessLosetup();
        string ours = Help();
        foreach (string line in ProgramRun.Of(ProgramRun.Losetup, "--help").Output.Split("columns:\n")[1].Split('\n').TakeWhile(line => line.Length > 0))
            Assert.Contains($" {line}\n", ours, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_verb_is_in_the_general_help()
    {
        string help = Help();
        Assert.All(Verbs.All, verb => Assert.Matches($@"(?m)^ {verb.Name}\b.* {verb.Summary.Split(' ')[0]} ", help));
    }

    [Theory]
    [MemberData(nameof(VerbNames))]
    public void A_verb_has_the_same_help_by_each_way_to_it(string verb)
    {
        string help = Help(verb);
        Assert.StartsWith($"Usage:\n loopctl {verb}", help, StringComparison.Ordinal);
        Assert.Equal(help, Run("help", verb));
        Assert.Equal(help, Run(verb, "-h"));
        Assert.Equal(help, Run(verb, "--hel", "--nope"));
        Assert.All(Verbs.Find(verb)!.Options, option => Assert.Contains($"--{option.Name}", help, StringComparison.Ordinal));
    }

    [Fact]
    public void No_line_is_longer_than_80_but_examples()
    {
        foreach (string help in (string[])[Help(), .. Verbs.All.Select(verb => Help(verb.Name))])
            Assert.DoesNotContain(help.Split('\n'), line => line.Length > 80 && !line.StartsWith("   loopctl ", StringComparison.Ordinal));
    }

    /// <summary>Words that mean something somewhere are no promise: the examples must be command lines.</summary>
    [Fact]
    public void Every_example_is_a_command_line()
    {
        string[] examples = [.. ((Command[])[new LosetupFace(), .. Verbs.All]).SelectMany(command => command.Examples).Select(example => example.How)];
        Assert.True(examples.Length > 10);
        foreach (string part in examples.SelectMany(example => Separator().Split(example)).Where(part => part.StartsWith("loopctl", StringComparison.Ordinal)))
        {
            Invocation line = Invocation.Read([.. part.Split('>')[0].Split(' ', StringSplitOptions.RemoveEmptyEntries).Skip(1)]);
            var getopt = new Getopt(line.Command.Options, line.Words);
            while (getopt.TryNext(out _, out _))
            {
            }
            Assert.True(line.Command is not Verb verb || getopt.Operands.Count >= verb.Operands.Split(' ').Count(word => word.Length > 0 && word[0] != '['), part);
        }
    }

    [Theory]
    [InlineData("hlep")]
    [InlineData("mnt")]
    public void Help_on_no_verb_is_refused(string name)
    {
        ProgramRun refused = ProgramRun.Of(ProgramRun.Loopctl, "help", name);
        Assert.Equal(1, refused.ExitCode);
        Assert.Matches($"^loopctl: there is no verb {name}: did you mean (help|mount)\\?\n$", refused.Error);
    }

    [Fact]
    public void A_terminal_shows_bold_headings_and_wraps_at_its_width()
    {
        ProgramRun.SkipUnlessInstalled("script");
        string help = OnTerminal(60, "-u NO_COLOR TERM=xterm");
        Assert.StartsWith("\e[1mUsage:\e[0m\r\n", help, StringComparison.Ordinal);
        Assert.DoesNotContain(help.Split("\r\n"), line => line.Length > 60 && !line.StartsWith("   loopctl ", StringComparison.Ordinal));
        Assert.Contains(OnTerminal(120, "-u NO_COLOR TERM=xterm").Split("\r\n"), line => line.Length > 100);
    }

    [Theory]
    [InlineData("-u NO_COLOR TERM=dumb")]
    [InlineData("-u NO_COLOR -u TERM")]
    [InlineData("TERM=xterm NO_COLOR=1")]
    public void A_terminal_that_shows_or_wants_no_styles_gets_none(string environment) =>
        Assert.DoesNotContain('\e', OnTerminal(80, environment));

    [Fact]
    public void A_complaint_is_coloured_on_a_terminal_alone()
    {
        ProgramRun.SkipUnlessInstalled("script");
        const string Colored = "\e[31mloopctl:\e[0m unrecognized option '--nope'\r\n";
        Assert.StartsWith(Colored, ProgramRun.Of("script", "-qec", $"env -u NO_COLOR TERM=xterm {ProgramRun.Loopctl} --nope", "/dev/null").Output, StringComparison.Ordinal);
        Assert.StartsWith("loopctl: unrec", ProgramRun.Of("script", "-qec", $"env TERM=xterm NO_COLOR=1 {ProgramRun.Loopctl} --nope", "/dev/null").Output, StringComparison.Ordinal);
        Assert.StartsWith("loopctl: unrec", ProgramRun.Of(ProgramRun.Loopctl, "--nope").Error, StringComparison.Ordinal);
    }

    private static string Help(params string[] verb) => Run([.. verb, "--help"]);

    private static string Run(params string[] words)
    {
        ProgramRun run = ProgramRun.Of(ProgramRun.Loopctl, words).Succeeded();
        Assert.Equal("", run.Error);
        return run.Output;
    }

    private static string OnTerminal(int width, string environment)
    {
        ProgramRun.SkipUnlessInstalled("script");
        return ProgramRun.Of("script", "-qec", $"stty cols {width} rows 24; env {environment} {ProgramRun.Loopctl} --help", "/dev/null").Succeeded().Output;
    }

    [GeneratedRegex("--[a-z-]+")]
    private static partial Regex LongOption();

    [GeneratedRegex("(?m)^ (-[A-Za-z]), ")]
    private static partial Regex Letter();

    [GeneratedRegex(" && | [|] |; |<[(]|[)]")]
    private static partial Regex Separator();
}
