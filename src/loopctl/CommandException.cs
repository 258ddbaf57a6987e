namespace LoopDaemon.CommandLine;

/// <summary>The command cannot be carried out; the message is the one sentence that the user gets, the exit code is 1.</summary>
internal class CommandException(string message) : Exception(message);
