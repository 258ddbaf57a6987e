using System.Globalization;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary>A device as a user names it: a number, <c>loop0</c>, or the path of its file.</summary>
internal sealed class DeviceName
{
    private DeviceName(string text, int number) => (Text, Number) = (text, number);

    /// <summary>What the user wrote.</summary>
    internal string Text { get; }

    internal int Number { get; }

    private bool IsPath => Text.Contains('/', StringComparison.Ordinal);

    /// <summary>Reads a device's name.</summary>
    /// <exception cref="CommandException">The text names no device of a loopd.</exception>
    internal static DeviceName Parse(string text) =>
        TryParse(text) is not { } device ? throw Unusable(text, Errno.ENODEV.Describe())
            : !device.IsPath || IsOnLoopdMount(text) ? device
            : throw Unusable(text, $"it is not a device of loopd{(text.StartsWith("/dev/", StringComparison.Ordinal) ? "; for the kernel's own use losetup" : "")}");

    /// <summary>Whether a text has the form of a device's name.</summary>
    internal static bool IsOne(string text) => TryParse(text) is not null;

    /// <summary>Whether a path lies in the directory of a loopd's devices.</summary>
    internal static bool IsOnLoopdMount(string path) => MountTable.At(DirectoryOf(path))?.Type == "fuse.loopd";

    /// <summary>The full path of the device's file.</summary>
    /// <param name="daemon">The daemon that has it.</param>
    /// <exception cref="CommandException">The user named a device of another daemon.</exception>
    internal string PathAt(DaemonStatus daemon) =>
        !IsPath || DirectoryOf(Text) == MountDirectory.Resolve(daemon.Mount) ? $"{daemon.Mount}/loop{Number}"
            : throw Unusable(Text, $"the daemon's devices are in {daemon.Mount}");

    /// <summary>There is no such device.</summary>
    internal CommandException Missing() => Unusable(Text, Errno.ENODEV.Describe());

    private static CommandException Unusable(string text, string reason) => new($"{text}: failed to use device: {reason}");

    private static DeviceName? TryParse(string text)
    {
        string name = text.Contains('/', StringComparison.Ordinal) ? Path.GetFileName(text) : text;
        string digits = name.StartsWith("loop", StringComparison.Ordinal) ? name["loop".Length..] : name;
        return int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? new DeviceName(text, number) : null;
    }

    /// <summary>The directory that a path lies in, as the table of mounts has it.</summary>
    private static string DirectoryOf(string path) => MountDirectory.Resolve(Path.GetDirectoryName(Path.GetFullPath(path)) ?? "/");
}
