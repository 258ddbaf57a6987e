using System.CommandLine;
using LoopDaemon.Daemon.Supervision;
using Xunit.MicrosoftTestingPlatform;
using Xunit.Runner.InProc.SystemConsole;

namespace LoopDaemon.Daemon.Tests;

/// <summary>Runs the tests; or, as a process that tests start, supervises (<c>supervise DIR OPTION...</c>), or is the child that is
/// supervised (<c>child DIR</c>), or writes state until it is killed (<c>write-state FILE</c>).</summary>
internal static class Program
{
    public static async Task<int> Main(string[] args) => args switch
    {
        ["supervise", var directory, ..] => await Supervise(directory, args[2..]),
        ["child", var directory, ..] => FakeDaemon.Run(directory, isCheck: args.Contains("--check-state")),
        ["write-state", var path] => StateFileTests.WriteForEver(path),
        // As in the entry point that is generated for other projects.
        _ when args.Contains("--server") || args.Contains("--internal-msbuild-node") =>
            await TestPlatformTestFramework.RunAsync(args, SelfRegisteredExtensions.AddSelfRegisteredExtensions),
        _ => await ConsoleRunner.Run(args),
    };

    /// <summary>As loopd does it, but with this program as the daemon's.</summary>
    private static Task<int> Supervise(string directory, string[] options)
    {
        LoopDaemon.Linux.Signals.RestoreInterrupt();
        return LoopdOptions.Command(chosen => Task.FromResult(Supervisor.Run(chosen, ["child", directory], Environment.ProcessPath)))
            .Parse(options).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null });
    }
}
