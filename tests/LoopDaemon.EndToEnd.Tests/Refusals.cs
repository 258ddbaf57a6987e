namespace LoopDaemon.EndToEnd.Tests;

/// <summary>How a program must fail: exit code 1 and one sentence on standard error that says what it is about.</summary>
internal static class Refusals
{
    private const string UsageHint = "Try 'loopctl --help' for more information.\n";

    /// <summary>This result, if it is a refusal with these parts in its one sentence.</summary>
    internal static ShellResult Refused(this ShellResult result, params string[] parts) => Refused(result, result.Error, parts);

    /// <summary>This result, if it is a refusal of the command line as such: behind the sentence the hint that getopt's
    /// users know.</summary>
    internal static ShellResult RefusedUsage(this ShellResult result, params string[] parts)
    {
        Assert.EndsWith(UsageHint, result.Error, StringComparison.Ordinal);
        return Refused(result, result.Error[..^UsageHint.Length], parts);
    }

    private static ShellResult Refused(ShellResult result, string sentence, string[] parts)
    {
        Assert.True(result.ExitCode == 1, $"{result.Command}: exit code {result.ExitCode}\n{result.Output}\n{result.Error}");
        Assert.Equal("", result.Output);
        Assert.True(sentence.EndsWith('\n') && sentence.Count(letter => letter == '\n') == 1, $"{result.Command}: not one line:\n{result.Error}");
        Assert.Matches("^(loopctl|loopd): .", sentence);
        foreach (string part in parts)
            Assert.Contains(part, sentence, StringComparison.Ordinal);
        return result;
    }
}
