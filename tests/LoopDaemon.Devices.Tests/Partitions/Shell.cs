using System.Diagnostics;

namespace LoopDaemon.Devices.Tests;

/// <summary>Runs the programs that make partition tables and judge the reading of them.</summary>
internal static class Shell
{
    private static readonly TimeSpan Timeout = TimeSpan.FromMinutes(5);

    /// <summary>What a program printed, which must succeed.</summary>
    /// <param name="program">Its name; the test is skipped where it is not installed.</param>
    /// <param name="input">What it reads.</param>
    /// <param name="arguments">Its arguments.</param>
    internal static string Run(string program, string input, params string[] arguments)
    {
        Assert.SkipUnless(IsInstalled(program), $"needs {program}");
        var start = new ProcessStartInfo(Find(program)!, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> error = process.StandardError.ReadToEndAsync();
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        if (!process.WaitForExit(Timeout))
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"{program} did not end within {Timeout}");
        }
        Assert.True(process.ExitCode == 0,
            $"{program} {string.Join(' ', arguments)}: exit code {process.ExitCode}\n{output.Result}\n{error.Result}");
        return output.Result;
    }

    internal static bool IsInstalled(string program) => Find(program) is not null;

    private static string? Find(string program) => (Environment.GetEnvironmentVariable("PATH") + ":/usr/sbin:/sbin").Split(':')
        .Select(directory => Path.Combine(directory, program))
        .FirstOrDefault(File.Exists);
}
