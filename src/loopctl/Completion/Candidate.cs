namespace LoopDaemon.CommandLine;

/// <summary>What a word on the command line may become.</summary>
/// <param name="Text">The whole word; one that ends with <see cref="File"/> or <see cref="Directory"/> leaves it to the shell
/// to go on from there.</param>
/// <param name="Help">What it is, in a few words.</param>
internal sealed record Candidate(string Text, string Help = "")
{
    internal const string File = "<file>", Directory = "<directory>";

    internal bool IsLeftToShell => Text.EndsWith(File, StringComparison.Ordinal) || Text.EndsWith(Directory, StringComparison.Ordinal);
}
