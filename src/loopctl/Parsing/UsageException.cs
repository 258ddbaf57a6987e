namespace LoopDaemon.CommandLine;

/// <summary>The command line does not follow the rules of options: a second line points to the help.</summary>
internal sealed class UsageException(string message) : CommandException(message);
