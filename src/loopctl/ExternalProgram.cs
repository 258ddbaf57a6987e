using System.ComponentModel;
using System.Diagnostics;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary>The system's own programs that a verb calls: mount, umount, mkfs, blkid.</summary>
internal static class ExternalProgram
{
    /// <summary>Runs a program to its end, without input.</summary>
    /// <returns>Its exit code and what it printed, standard error first.</returns>
    /// <exception cref="CommandException">It is not installed.</exception>
    internal static (int ExitCode, string Output) Run(string program, params IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        try
        {
            using Process process = Process.Start(start)!;
            process.StandardInput.Close();
            Task<string> output = process.StandardOutput.ReadToEndAsync();
            string error = process.StandardError.ReadToEnd();
            process.WaitForExit();
            return (process.ExitCode, (error + output.Result).Trim());
        }
        catch (Win32Exception missing)
        {
            throw new CommandException($"cannot run {program}: {((Errno)missing.NativeErrorCode).Describe()}");
        }
    }

    /// <summary>Runs a program that must succeed.</summary>
    /// <param name="failure">What it means if it does not, naming the file; what the program printed follows.</param>
    /// <param name="program">The program.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <exception cref="ExternalProgramException">It failed.</exception>
    /// <exception cref="CommandException">It is not installed.</exception>
    internal static void RunOrFail(string failure, string program, params IEnumerable<string> arguments)
    {
        (int exitCode, string output) = Run(program, arguments);
        if (exitCode != 0)
            throw new ExternalProgramException(exitCode, $"{failure}: {(output.Length > 0 ? output : $"{program} failed with exit code {exitCode}")}");
    }
}
