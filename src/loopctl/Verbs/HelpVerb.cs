namespace LoopDaemon.CommandLine;

/// <summary><c>loopctl help [VERB]</c>: what --help prints.</summary>
internal sealed class HelpVerb : Verb
{
    internal override string Name => "help";

    internal override string Operands => "[VERB]";

    internal override string Summary => "display help, on a verb or in general";

    protected override int Do(IReadOnlyList<string> operands)
    {
        Command command = operands.Count == 0 ? new LosetupFace() : Verbs.Find(operands[0]) ?? throw Unknown(operands[0]);
        command.PrintHelp();
        return 0;
    }

    private static CommandException Unknown(string name) =>
        new($"there is no verb {name}{(Verbs.Closest(name) is { } verb ? $": did you mean {verb}?" : "")}");
}
