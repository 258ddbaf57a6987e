using LoopDaemon.Transfers;

namespace LoopDaemon.CommandLine;

/// <summary>The verbs, by which a command line begins that losetup does not know.</summary>
internal static class Verbs
{
    private static readonly (string Name, Func<Command> Create)[] Table =
    [
        ("mount", () => new MountVerb()),
        ("umount", () => new UmountVerb()),
        ("apply", () => new ApplyVerb()),
        ("info", () => new InfoVerb()),
        ("monitor", () => new MonitorVerb()),
        ("wait", () => new WaitVerb()),
        ("rescan", () => new RescanVerb()),
        ("shutdown", () => new ShutdownVerb()),
        ("doctor", () => new DoctorVerb()),
        ("transfers", () => new TransfersVerb()),
        ("completion", () => new CompletionVerb()),
        ("help", () => new HelpVerb()),
    ];

    internal static IReadOnlyList<Command> All => [.. Table.Select(verb => verb.Create())];

    /// <summary>The verb of that name, or null.</summary>
    internal static Command? Find(string name) => Array.Find(Table, verb => verb.Name == name).Create?.Invoke();

    /// <summary>The verb that a mistyped name most likely was meant to be, or null.</summary>
    internal static string? Closest(string name) => Spelling.Closest(name, Table.Select(verb => verb.Name));
}
