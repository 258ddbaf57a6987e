using System.Diagnostics;

namespace LoopDaemon.CommandLine.Tests;

/// <summary>What a program printed and how it ended.</summary>
internal sealed record ProgramRun(int ExitCode, string Output, string Error)
{
    internal const string Losetup = "/usr/sbin/losetup";

    /// <summary>loopctl as the build has made it.</summary>
    internal static string Loopctl { get; } = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "..", "..", "loopctl", "release", "loopctl"));

    internal static void SkipUnlessLosetup() => SkipUnlessInstalled(Losetup);

    internal static void SkipUnlessInstalled(string program) => Assert.SkipUnless(
        (Environment.GetEnvironmentVariable("PATH") + ":/usr/sbin:/sbin").Split(':').Any(folder => File.Exists(Path.Combine(folder, program))), $"needs {program}");

    internal static ProgramRun Of(string program, params IEnumerable<string> arguments) => Of(program, arguments, null);

    /// <summary>Runs a program without input, in the C.UTF-8 locale, and without a daemon where nobody says otherwise.</summary>
    internal static ProgramRun Of(string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["LC_ALL"] = "C.UTF-8";
        start.Environment["LOOPD_CONTROL"] = "/nonexistent/control";
        foreach ((string name, string value) in environment ?? new Dictionary<string, string>())
            start.Environment[name] = value;
        using Process process = Process.Start(start)!;
        process.StandardInput.Close();
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        Assert.True(process.WaitForExit(TimeSpan.FromSeconds(30)), $"{program} {string.Join(' ', arguments)} does not end");
        return new ProgramRun(process.ExitCode, output, error.Result);
    }

    /// <summary>This run, if it succeeded.</summary>
    internal ProgramRun Succeeded()
    {
        Assert.True(ExitCode == 0, $"exit code {ExitCode}: {Error}");
        return this;
    }

    /// <summary>This run of losetup as if loopctl had been called.</summary>
    internal ProgramRun AsLoopctl() => this with { Error = Error.Replace(Losetup, "loopctl", StringComparison.Ordinal).Replace("losetup", "loopctl", StringComparison.Ordinal) };
}
