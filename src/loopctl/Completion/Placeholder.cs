using LoopDaemon.Control;

namespace LoopDaemon.CommandLine;

/// <summary>The names of values and operands for which there are candidates: FILE, DIR, SOCKET, DEV, TRANSFER, COLS, VERB, FILE|NAME, and
/// words with bars between them.</summary>
internal static class Placeholder
{
    private const string KeyFile = "key-file=";

    /// <summary>What a value or an operand may become.</summary>
    /// <param name="name">Its name, as help shows it.</param>
    /// <param name="typed">What is there of it.</param>
    /// <param name="daemon">The daemon, which need not run.</param>
    internal static IEnumerable<Candidate> Candidates(string name, string typed, Daemon daemon) => name.Trim('[', ']', '.') switch
    {
        "FILE" or "SOCKET" => [new Candidate(Candidate.File)],
        "DIR" => [new Candidate(Candidate.Directory)],
        "DEV" => Devices(typed, daemon),
        "TRANSFER" => Transfers(typed, daemon),
        "COLS" => Columns(typed),
        "FILE|NAME" => typed.Contains('/', StringComparison.Ordinal) ? [new Candidate(Candidate.File)] : [.. LooptabNames(), new Candidate(Candidate.File)],
        "VERB" => Verbs.All.Select(verb => new Candidate(verb.Name, verb.Summary)),
        var words when words.Contains('|', StringComparison.Ordinal) => words.Split('|').Select(word => new Candidate(word)),
        _ => [],
    };

    /// <summary>The bound devices, by path where a path is begun.</summary>
    private static IEnumerable<Candidate> Devices(string typed, Daemon daemon) =>
        Ask(daemon, client => client.List())
            .Select(device => new Candidate(typed.Contains('/', StringComparison.Ordinal) ? device.Path : $"loop{device.Device}", device.BackingFile));

    /// <summary>The transfers; behind the colon of one, its key file.</summary>
    private static IEnumerable<Candidate> Transfers(string typed, Daemon daemon)
    {
        int colon = typed.IndexOf(':', StringComparison.Ordinal);
        if (colon < 0)
            return Ask(daemon, client => client.ListTransfers()).Select(transfer => new Candidate(transfer.Name, transfer.Summary));
        string named = typed[..(colon + 1)] + KeyFile;
        return [new Candidate(typed.StartsWith(named, StringComparison.Ordinal) ? named + Candidate.File : named)];
    }

    /// <summary>What the table of devices may be asked for by name.</summary>
    private static IEnumerable<Candidate> LooptabNames()
    {
        try
        {
            return Looptab.Read(Looptab.DefaultPath).Lines.Select(line => new Candidate(line.Name, line.BackingFile));
        }
        catch (CommandException)
        {
            return [];
        }
    }

    private static IEnumerable<Candidate> Columns(string typed)
    {
        int last = typed.LastIndexOf(',');
        string before = last >= 0 ? typed[..(last + 1)] : typed.StartsWith('+') ? "+" : "";
        return DeviceColumns.All.Select(column => new Candidate(before + column.Name, column.Help));
    }

    private static IReadOnlyList<T> Ask<T>(Daemon daemon, Func<ControlClient, IReadOnlyList<T>> question)
    {
        try
        {
            using ControlClient? client = daemon.ConnectIfReady();
            return client is null ? [] : question(client);
        }
        catch (ControlException)
        {
            return [];
        }
    }
}
