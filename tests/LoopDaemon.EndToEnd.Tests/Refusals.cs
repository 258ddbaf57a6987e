namespace LoopDaemon.EndToEnd.Tests;

/// <summary>How a program must fail: exit code 1 and one sentence on standard error that says what it is about.</summary>
internal static class Refusals
{
    /// <summary>This result, if it is a refusal with these parts in its one sentence.</summary>
    internal static ShellResult Refused(this ShellResult result, params string[] parts)
    {
        Assert.True(result.ExitCode == 1, $"{result.Command}: exit code {result.ExitCode}\n{result.Output}\n{result.Error}");
        Assert.Equal("", result.Output);
        Assert.True(result.Error.EndsWith('\n') && result.Error.Count(letter => letter == '\n') == 1, $"{result.Command}: not one line:\n{result.Error}");
        Assert.Matches("^(loopctl|loopd): .", result.Error);
        foreach (string part in parts)
            Assert.Contains(part, result.Error, StringComparison.Ordinal);
        return result;
    }
}
