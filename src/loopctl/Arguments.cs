using System.CommandLine;
using System.CommandLine.Parsing;

namespace LoopDaemon.CommandLine;

/// <summary>Reads the command line, and finds what is wrong with it beyond what the parser finds.</summary>
internal static class Arguments
{
    /// <summary>Parses a command line. A word that begins with @ is a name like any other, not a file of arguments.</summary>
    internal static ParseResult Parse(RootCommand root, string[] words) =>
        root.Parse(words, new ParserConfiguration { ResponseFileTokenReplacer = null });

    /// <summary>What is wrong, in one sentence, or null.</summary>
    internal static string? Complaint(ParseResult parsed, string[] words)
    {
        // First, as the parser's own complaint would be of what follows from it.
        if (UnknownOption(parsed, words) is { } unknown)
            return $"unknown option {unknown}.";
        if (parsed.Errors.Count > 0)
            return parsed.Errors[0].Message;
        return WithoutValue(parsed) is { } option ? $"option {option} needs a value." : null;
    }

    /// <summary>The parser takes a mistyped option for an operand: only behind -- may one begin with a dash.</summary>
    private static string? UnknownOption(ParseResult parsed, string[] words)
    {
        int end = Array.IndexOf(words, "--");
        string[] before = end < 0 ? words : words[..end];
        return Results(parsed).OfType<ArgumentResult>()
            .Where(result => result.Parent is CommandResult)
            .SelectMany(result => result.Tokens)
            .Select(token => token.Value)
            .FirstOrDefault(value => value.Length > 1 && value[0] == '-' && before.Contains(value));
    }

    /// <summary>The parser is content with one value for an option that is given twice.</summary>
    private static string? WithoutValue(ParseResult parsed) =>
        Results(parsed).OfType<OptionResult>()
            .FirstOrDefault(result => result.Option.Arity.MinimumNumberOfValues > 0 && result.Tokens.Count < result.IdentifierTokenCount)
            ?.IdentifierToken?.Value;

    private static IEnumerable<SymbolResult> Results(ParseResult parsed)
    {
        for (SymbolResult? command = parsed.CommandResult; command is not null; command = command.Parent)
        {
            if (command is not CommandResult { Children: { } children })
                continue;
            foreach (SymbolResult child in children)
                yield return child;
        }
    }
}
