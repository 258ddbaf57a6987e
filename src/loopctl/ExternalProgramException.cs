namespace LoopDaemon.CommandLine;

/// <summary>A program that was called has failed.</summary>
/// <param name="programExitCode">Its exit code, which mount(8)'s helpers hand on.</param>
/// <param name="message">The sentence for the user.</param>
internal sealed class ExternalProgramException(int programExitCode, string message) : CommandException(message)
{
    internal int ProgramExitCode => programExitCode;
}
