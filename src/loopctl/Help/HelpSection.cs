namespace LoopDaemon.CommandLine;

/// <summary>A list in a command's help beside its options: the verbs, the columns.</summary>
/// <param name="Title">Its heading.</param>
/// <param name="Items">What there is, and what that is.</param>
internal sealed record HelpSection(string Title, IReadOnlyList<(string Item, string Text)> Items);
