using System.Diagnostics;
using System.Text.RegularExpressions;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>The installable tree, built once for a class of tests: loopd with its runtime, loopctl as a native program. That
/// takes about a minute of processor time, and the first time the .NET compiler packages are fetched.</summary>
public sealed partial class PublishedPrograms : IDisposable
{
    private static readonly TimeSpan BuildTime = TimeSpan.FromMinutes(20);
    private static readonly string Script = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "..", "..", "..", "..", "src", "packaging", "build.sh"));

    private readonly string _obstacle = "";

    public PublishedPrograms()
    {
        Root = Directory.CreateTempSubdirectory("loopd-published-").FullName;
        var clock = Stopwatch.StartNew();
        ShellResult built = Shell.Run(BuildTime, Script, [Root]);
        BuildOutput = built.Output + built.Error;
        if (built.ExitCode == 0)
            TestContext.Current.SendDiagnosticMessage($"the installable tree was built in {clock.Elapsed.TotalSeconds:0} s");
        else if (BuildOutput.Contains("build.sh: missing:", StringComparison.Ordinal) || NoPackage().IsMatch(BuildOutput))
            _obstacle = $"needs what build.sh needs: {BuildOutput.Trim()}";
        else
            Assert.Fail($"build.sh failed:\n{BuildOutput}");
    }

    /// <summary>What building it printed.</summary>
    internal string BuildOutput { get; }

    /// <summary>Where it is installed, as a package would below /.</summary>
    internal string Root { get; }

    internal string Loopctl => Path.Combine(Root, "usr", "bin", "loopctl");

    internal string Loopd => Path.Combine(Root, "usr", "sbin", "loopd");

    internal void SkipUnlessBuilt() => Assert.SkipUnless(_obstacle.Length == 0, _obstacle);

    public void Dispose() => Directory.Delete(Root, recursive: true);

    /// <summary>NuGet's words for a package source that cannot be reached, or has not got the native compiler.</summary>
    [GeneratedRegex("NU1(301|10[12])")]
    private static partial Regex NoPackage();
}
