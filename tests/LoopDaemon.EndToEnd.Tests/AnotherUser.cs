namespace LoopDaemon.EndToEnd.Tests;

/// <summary>Programs that run as a user who is nobody in particular.</summary>
internal static class AnotherUser
{
    internal const int Id = 65534;

    internal static void SkipUnlessPossible()
    {
        Requirements.SkipUnlessInstalled("setpriv");
        Assert.SkipUnless(Run(Loopd.ControlProgram, "--version").ExitCode == 0, "needs a build that other users may run");
    }

    internal static ShellResult Run(string program, params string[] arguments) => Shell.Run("setpriv",
        [$"--reuid={Id}", $"--regid={Id}", "--clear-groups", "--inh-caps=-all", "--", program, .. arguments]);

    /// <summary>Runs loopctl against a daemon.</summary>
    internal static ShellResult Control(Loopd loopd, params string[] arguments) =>
        Run(Loopd.ControlProgram, ["--control", loopd.Socket, .. arguments]);
}
