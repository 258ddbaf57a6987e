namespace LoopDaemon.CommandLine;

/// <summary><c>loopctl completion SHELL</c>: the script that makes a shell complete command lines. The scripts in their turn
/// call <c>loopctl completion candidates -- WORD...</c>, so that they know every option without naming one.</summary>
internal sealed class CompletionVerb : Command
{
    internal override string Name => "completion";

    internal override string Operands => "bash|zsh|fish";

    internal override string Summary => "print the script that makes a shell complete command lines";

    internal override IReadOnlyList<(string What, string How)> Examples =>
    [
        ("For this bash, or from now on with the line in ~/.bashrc", "source <(loopctl completion bash)"),
        ("For this zsh, or from now on with the line in ~/.zshrc behind compinit", "source <(loopctl completion zsh)"),
        ("For fish, from now on", "loopctl completion fish > ~/.config/fish/completions/loopctl.fish"),
    ];

    protected override IReadOnlyList<OptionGroup> OwnOptions => [];

    protected override int Run(IReadOnlyList<string> operands)
    {
        if (operands.Count > 0 && operands[0] == "candidates")
        {
            foreach (Candidate candidate in Completion.Of([.. operands.Skip(1)]))
                Console.Out.WriteLine($"{candidate.Text}\t{candidate.Help}");
            return 0;
        }
        string script = operands switch
        {
            ["bash"] => "loopctl.bash",
            ["zsh"] => "_loopctl",
            ["fish"] => "loopctl.fish",
            _ => throw new CommandException($"name a shell: {Program} {Usage[0]}"),
        };
        using Stream resource = typeof(CompletionVerb).Assembly.GetManifestResourceStream(script)!;
        using var reader = new StreamReader(resource);
        Console.Out.Write(reader.ReadToEnd());
        return 0;
    }
}
