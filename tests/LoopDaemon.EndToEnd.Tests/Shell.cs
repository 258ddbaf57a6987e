using System.Diagnostics;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>What a program printed and how it ended.</summary>
internal sealed record ShellResult(string Command, int ExitCode, string Output, string Error)
{
    /// <summary>This result, if the program succeeded.</summary>
    internal ShellResult Succeeded()
    {
        Assert.True(ExitCode == 0, $"{Command}: exit code {ExitCode}\n{Output}\n{Error}");
        return this;
    }
}

/// <summary>Runs programs, each with a time limit: one that touches a mount may hang for ever.</summary>
internal static class Shell
{
    internal static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(60);

    internal static ShellResult Run(string program, params string[] arguments) => Run(DefaultTimeout, program, arguments);

    internal static ShellResult Run(TimeSpan timeout, string program, string[] arguments, IReadOnlyDictionary<string, string>? environment = null)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach ((string name, string value) in environment ?? new Dictionary<string, string>())
            start.Environment[name] = value;
        string command = $"{Path.GetFileName(program)} {string.Join(' ', arguments)}";
        using Process process = Process.Start(start)!;
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> error = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(timeout))
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"{command} did not end within {timeout.TotalSeconds} s");
        }
        // A daemon started by the program may hold on to its pipes.
        Task.WaitAll([output, error], TimeSpan.FromSeconds(5));
        return new ShellResult(command, process.ExitCode, output.IsCompleted ? output.Result : "", error.IsCompleted ? error.Result : "");
    }

    /// <summary>A bash script under <c>set -eu -o pipefail</c>, which must succeed.</summary>
    internal static string Bash(string script, int timeoutSeconds = 60) =>
        Run(TimeSpan.FromSeconds(timeoutSeconds), "bash", ["-c", "set -eu -o pipefail\n" + script]).Succeeded().Output;
}
