using System.Globalization;

namespace LoopDaemon.CommandLine;

/// <summary>Names of users and groups, as the system's databases have them.</summary>
internal static class AccountNames
{
    private static readonly Dictionary<(string Database, uint Id), string> Known = [];

    /// <summary>A user's name; the number where it has none.</summary>
    internal static string OfUser(uint id) => NameOf("passwd", id);

    /// <summary>A group's name; the number where it has none.</summary>
    internal static string OfGroup(uint id) => NameOf("group", id);

    /// <summary>A group's number.</summary>
    /// <param name="text">Its name or its number.</param>
    /// <exception cref="CommandException">There is no such group.</exception>
    internal static uint ParseGroup(string text)
    {
        if (uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out uint number))
            return number;
        return Find("group", text, entry => entry[0] == text) is { } group
            ? uint.Parse(group[2], CultureInfo.InvariantCulture)
            : throw new CommandException($"failed to parse group: '{text}': there is no such group");
    }

    private static string NameOf(string database, uint id)
    {
        if (Known.TryGetValue((database, id), out string? known))
            return known;
        string number = id.ToString(CultureInfo.InvariantCulture);
        return Known[(database, id)] = Find(database, number, entry => entry[2] == number)?[0] ?? number;
    }

    /// <summary>An entry of the file in /etc, else of whatever else the name service asks (getent(1)).</summary>
    private static string[]? Find(string database, string key, Predicate<string[]> isIt)
    {
        string file = $"/etc/{database}";
        if (File.Exists(file) && Array.Find(Entries(File.ReadAllText(file)), isIt) is { } local)
            return local;
        try
        {
            return Array.Find(Entries(ExternalProgram.Run("getent", database, key).Output), isIt);
        }
        catch (CommandException)
        {
            // A system without getent has no other name service either.
            return null;
        }
    }

    private static string[][] Entries(string lines) =>
        [.. lines.Split('\n').Select(line => line.Split(':')).Where(entry => entry.Length > 2)];
}
