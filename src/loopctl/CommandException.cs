namespace LoopDaemon.CommandLine;

/// <summary>The command cannot be carried out; the message is the one sentence that the user gets.</summary>
internal class CommandException(string message, int exitCode = 1) : Exception(message)
{
    internal int ExitCode => exitCode;
}
