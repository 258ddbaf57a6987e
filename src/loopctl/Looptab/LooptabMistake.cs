namespace LoopDaemon.CommandLine;

/// <summary>A line of looptab that cannot be understood.</summary>
/// <param name="Number">Which line, from 1.</param>
/// <param name="Name">The name that it begins with, or null where not even that can be made out.</param>
/// <param name="Message">What is wrong with it.</param>
internal sealed record LooptabMistake(int Number, string? Name, string Message);
