using System.Diagnostics;
using System.Text.RegularExpressions;

namespace LoopDaemon.CommandLine.Tests.Keys;

/// <summary>The prompt on a real terminal.</summary>
public sealed partial class PassphrasePromptTests
{
    private const string CtrlC = "\x03", CtrlD = "\x04", CtrlZ = "\x1a", CtrlBackslash = "\x1c";

    /// <summary>Says so if the terminal is not as it was.</summary>
    private const string CompareSettings = """[ "$(stty -g)" = "$before" ] && echo same settings. || stty -a""";

    [Fact]
    public void What_is_typed_is_not_shown()
    {
        using var terminal = new PromptedTerminal($"before=$(stty -g); stty -a; ask; {CompareSettings}");
        Assert.Matches(@"[^-]echo\b", terminal.WaitFor("Password: "));
        terminal.Type("secret\n");
        string shown = terminal.WaitFor("end.");
        Assert.Contains("6 bytes: terces\r\n", shown, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", shown, StringComparison.Ordinal);
        Assert.Contains("Password: \r\n", shown, StringComparison.Ordinal);
        Assert.Contains("same settings.", shown, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(CtrlC, 130)]
    [InlineData(CtrlBackslash, 131)]
    [InlineData("INT", 130)]
    [InlineData("QUIT", 131)]
    [InlineData("TERM", 143)]
    [InlineData("HUP", 129)]
    public void A_signal_ends_it_and_the_terminal_shows_again_what_is_typed(string signal, int exitCode)
    {
        // With traps bash itself goes on.
        using var terminal = new PromptedTerminal($"trap : INT QUIT; before=$(stty -g); ask; echo ended with $?.; {CompareSettings}; cat");
        int process = int.Parse(ProcessNumber().Match(terminal.WaitFor("Password: ")).Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture);
        if (signal.Length == 1)
            terminal.Type("secret" + signal);
        else
            Process.Start("kill", [$"-{signal}", $"{process}"]).WaitForExit();
        terminal.WaitFor($"ended with {exitCode}.");
        terminal.WaitFor("same settings.");
        terminal.Type("visible");
        Assert.DoesNotContain("secret", terminal.WaitFor("visible"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(CtrlC, "INT")]
    [InlineData(CtrlBackslash, "QUIT")]
    public void A_signal_that_is_ignored_shows_nothing(string key, string signal)
    {
        using var terminal = new PromptedTerminal($"trap '' {signal}; ask");
        terminal.WaitFor("Password: ");
        terminal.Type(key);
        Thread.Sleep(500);
        terminal.Type("secret\n");
        Assert.Contains("6 bytes: terces\r\n", terminal.WaitFor("end."), StringComparison.Ordinal);
        Assert.DoesNotContain("secret", terminal.Shown, StringComparison.Ordinal);
    }

    [Fact]
    public void Ctrl_Z_begins_anew_instead_of_stopping()
    {
        using var terminal = new PromptedTerminal("set -m; ask");
        terminal.WaitFor("Password: ");
        terminal.Type("wrong" + CtrlZ);
        terminal.WaitFor("Password: \r\nPassword: ");
        terminal.Type("secret\n");
        Assert.Contains("6 bytes: terces\r\n", terminal.WaitFor("end."), StringComparison.Ordinal);
        Assert.DoesNotContain("secret", terminal.Shown, StringComparison.Ordinal);
    }

    [Fact]
    public void What_was_typed_before_the_prompt_is_no_pass_phrase()
    {
        using var terminal = new PromptedTerminal("echo begin.; read wait; ask");
        terminal.WaitFor("begin.");
        terminal.Type("\nahead\n");
        terminal.WaitFor("Password: ");
        terminal.Type("secret\n");
        Assert.Contains("6 bytes: terces\r\n", terminal.WaitFor("end."), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("secret\n", "secret\n", "6 bytes: terces")]
    [InlineData("secret\n", "secred\n", "the two pass phrases differ")]
    [InlineData("secret\n", "secre\n", "the two pass phrases differ")]
    [InlineData("secret\n", "\n", "the pass phrase from the terminal is empty")]
    public void With_verification_it_is_asked_for_twice(string first, string second, string answer)
    {
        using var terminal = new PromptedTerminal($"before=$(stty -g); ask verify; {CompareSettings}");
        terminal.WaitFor("Password: ");
        terminal.Type(first);
        terminal.WaitFor("Password: \r\nVerify password: ");
        terminal.Type(second);
        terminal.WaitFor("end.");
        Assert.Contains($"{answer}\r\n", terminal.Shown, StringComparison.Ordinal);
        Assert.Contains("same settings.", terminal.Shown, StringComparison.Ordinal);
        Assert.DoesNotContain("secre", terminal.Shown, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\n")]
    [InlineData(CtrlD)]
    [InlineData("\0behind\n")]
    public void An_empty_one_is_refused(string typed)
    {
        using var terminal = new PromptedTerminal("ask");
        terminal.WaitFor("Password: ");
        terminal.Type(typed);
        Assert.Contains("the pass phrase from the terminal is empty\r\n", terminal.WaitFor("end."), StringComparison.Ordinal);
    }

    [Fact]
    public void Ctrl_D_behind_something_typed_ends_nothing()
    {
        using var terminal = new PromptedTerminal("ask");
        terminal.WaitFor("Password: ");
        terminal.Type("sec" + CtrlD);
        Thread.Sleep(200);
        terminal.Type("ret\n");
        Assert.Contains("6 bytes: terces\r\n", terminal.WaitFor("end."), StringComparison.Ordinal);
    }

    /// <summary>The kernel's terminal holds no more than 4095 bytes and a newline, and drops the rest.</summary>
    [Theory]
    [InlineData(4094, "4094 bytes: ")]
    [InlineData(4095, "the pass phrase from the terminal is longer than 4094 bytes")]
    [InlineData(5000, "the pass phrase from the terminal is longer than 4094 bytes")]
    public void One_that_is_too_long_is_refused_and_none_of_it_becomes_a_command(int bytes, string answer)
    {
        using var terminal = new PromptedTerminal("ask; read -t 0.5 && echo something is left. || echo nothing is left.");
        terminal.WaitFor("Password: ");
        terminal.Type(new string('x', bytes) + "\n");
        Assert.Contains(answer, terminal.WaitFor("nothing is left."), StringComparison.Ordinal);
    }

    [Fact]
    public void Without_a_terminal_it_says_what_gives_a_key_instead()
    {
        Bash.SkipUnlessInstalled("setsid");
        string output = System.Text.Encoding.UTF8.GetString(Bash.Run("setsid --wait $1 ask || true", [], Environment.ProcessPath!));
        Assert.Equal(
            "there is no terminal to ask for the pass phrase on (No such device or address): give it with --pass-fd N, or the key itself with --key-file FILE\n",
            output);
    }

    [GeneratedRegex(@"process (\d+)\.")]
    private static partial Regex ProcessNumber();
}
