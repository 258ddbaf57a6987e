using System.Diagnostics;

namespace LoopDaemon.CommandLine.Tests;

/// <summary>Runs scripts with a time limit.</summary>
internal static class Bash
{
    internal static void SkipUnlessInstalled(string program) =>
        Assert.SkipUnless(Environment.GetEnvironmentVariable("PATH")!.Split(':').Any(folder => File.Exists(Path.Combine(folder, program))), $"needs {program}");

    /// <summary>Runs one that must succeed.</summary>
    /// <param name="script">The script, under <c>set -eu -o pipefail</c>.</param>
    /// <param name="input">Its standard input.</param>
    /// <param name="arguments">What it finds as $1 and so on.</param>
    /// <returns>What it printed.</returns>
    internal static byte[] Run(string script, byte[] input, params IEnumerable<string> arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo("timeout", ["60", "bash", "-c", "set -eu -o pipefail\n" + script, "test", .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        Task writing = Task.Run(() =>
        {
            using Stream stream = process.StandardInput.BaseStream;
            stream.Write(input);
        });
        Task<string> error = process.StandardError.ReadToEndAsync();
        using var output = new MemoryStream();
        process.StandardOutput.BaseStream.CopyTo(output);
        process.WaitForExit();
        writing.Wait();
        Assert.True(process.ExitCode == 0, $"{script}: exit code {process.ExitCode}: {error.Result}");
        return output.ToArray();
    }
}
