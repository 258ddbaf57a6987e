namespace LoopDaemon.CommandLine;

/// <summary>Options that help shows together.</summary>
/// <param name="Title">Their heading.</param>
/// <param name="Options">The options, in help's order.</param>
internal sealed record OptionGroup(string Title, params IReadOnlyList<Option> Options)
{
    /// <summary>Options that losetup does not have.</summary>
    internal static OptionGroup Added(string title, params IReadOnlyList<Option> options)
    {
        foreach (Option option in options)
            option.IsAddition = true;
        return new OptionGroup(title, options);
    }
}
