using LoopDaemon.Benchmark.Processes;

namespace LoopDaemon.Benchmark.Targets;

/// <summary>What can be measured here: our own programs with what they know, and what else is installed.</summary>
internal sealed class Installation
{
    private readonly string _loopdHelp;

    /// <param name="uringObstacle">Why the kernel offers no FUSE over io_uring, or null.</param>
    /// <param name="cancellation">Gives up.</param>
    internal Installation(string? uringObstacle, CancellationToken cancellation)
    {
        UringObstacle = uringObstacle;
        // All programs of a build lie side by side: artifacts/bin/NAME/release/NAME.
        string build = Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory));
        string Program(string name) => Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "..", "..", name, build, name));
        Loopd = Program("loopd");
        Loopctl = Program("loopctl");
        _loopdHelp = Command.Run(Loopd, ["--help"], cancellation);
    }

    internal string Loopd { get; }

    internal string Loopctl { get; }

    internal string? UringObstacle { get; }

    /// <summary>Whether this loopd has an option.</summary>
    internal bool LoopdKnows(string option) => _loopdHelp.Contains(option + " ", StringComparison.Ordinal);

    /// <summary>Why a program cannot be run, or null.</summary>
    internal static string? Missing(string program, string package) =>
        Command.Find(program) is null ? $"{program} is not installed (Debian: {package})" : null;
}
