using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary>Words for what the daemon refuses.</summary>
internal static class Failure
{
    /// <summary>Why, in losetup's words where losetup knows the failure; otherwise in the daemon's, which say more.</summary>
    internal static string Reason(ControlException refused) => refused.Error switch
    {
        ControlError.NotBound or ControlError.NoSuchDevice or ControlError.Busy or ControlError.DeviceExists => refused.Errno.Describe(),
        _ => refused.Message,
    };

    /// <summary>Warnings of the daemon's, on standard error.</summary>
    /// <param name="what">The file or device that they are about.</param>
    /// <param name="warnings">A sentence each.</param>
    internal static void Warn(string what, IReadOnlyList<string> warnings)
    {
        foreach (string warning in warnings)
            Complain($"{what}: {warning}");
    }

    /// <summary>The name that the program was called by, which begins its sentences.</summary>
    internal static string Speaker { get; set; } = Command.Program;

    /// <summary>Writes a sentence to standard error, on one line also where another program printed it on several.</summary>
    internal static void Complain(string sentence)
    {
        string[] lines = sentence.Contains('\n', StringComparison.Ordinal)
            ? sentence.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) : [sentence];
        string program = Screen.ErrorHasStyles ? $"\e[31m{Speaker}:\e[0m" : $"{Speaker}:";
        Console.Error.WriteLine($"{program} {string.Join(' ', lines)}");
    }
}
