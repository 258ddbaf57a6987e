using System.ComponentModel;
using System.Diagnostics;

namespace LoopDaemon.Benchmark.Processes;

/// <summary>Runs programs to their end.</summary>
internal static class Command
{
    internal static readonly TimeSpan DefaultTimeout = TimeSpan.FromMinutes(2);

    /// <summary>Runs a program that must succeed.</summary>
    /// <returns>What it wrote to its standard output.</returns>
    /// <exception cref="MeasurementException">It failed, or did not end in time; the message has its last words.</exception>
    /// <exception cref="OperationCanceledException">The run was cancelled; the program was killed.</exception>
    internal static string Run(string program, string[] arguments, TimeSpan timeout, CancellationToken cancellation)
    {
        string name = $"{Path.GetFileName(program)} {string.Join(' ', arguments)}";
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Start(start, name);
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync(CancellationToken.None);
        Task<string> error = process.StandardError.ReadToEndAsync(CancellationToken.None);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(timeout);
        try
        {
            process.WaitForExitAsync(limit.Token).GetAwaiter().GetResult();
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            cancellation.ThrowIfCancellationRequested();
            throw new MeasurementException($"{name}: not finished after {timeout.TotalSeconds:0} s");
        }
        return process.ExitCode == 0 ? output.Result
            : throw new MeasurementException($"{name}: exit code {process.ExitCode}: {LastWords(error.Result, output.Result)}");
    }

    internal static string Run(string program, string[] arguments, CancellationToken cancellation) =>
        Run(program, arguments, DefaultTimeout, cancellation);

    /// <summary>A program's path, as the shell would find it, or null.</summary>
    internal static string? Find(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries)
            .Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);

    private static Process Start(ProcessStartInfo start, string name)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception missing)
        {
            throw new MeasurementException($"{name}: {missing.Message}", missing);
        }
    }

    private static string LastWords(string error, string output)
    {
        string[] lines = (string.IsNullOrWhiteSpace(error) ? output : error).Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return lines.Length == 0 ? "it said nothing" : string.Join(" / ", lines.TakeLast(3));
    }
}
