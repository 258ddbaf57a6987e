using System.Globalization;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary>A device as a user names it: a number, <c>loop0</c>, or the path of its file.</summary>
internal static class DeviceName
{
    /// <summary>Reads a device's number.</summary>
    /// <exception cref="CommandException">The text names no device of a loopd.</exception>
    internal static int Parse(string text)
    {
        string name = text.Contains('/', StringComparison.Ordinal) ? Path.GetFileName(text) : text;
        string digits = name.StartsWith("loop", StringComparison.Ordinal) ? name["loop".Length..] : name;
        if (!int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out int number))
            throw new CommandException($"{text}: failed to use device: {Errno.ENODEV.Describe()}");
        if (name != text && !IsOnLoopdMount(text))
            throw new CommandException($"{text}: failed to use device: it is not a device of loopd{(text.StartsWith("/dev/", StringComparison.Ordinal) ? "; for the kernel's own use losetup" : "")}");
        return number;
    }

    /// <summary>The status of a device that a user names.</summary>
    /// <exception cref="CommandException">It names no device of this daemon.</exception>
    /// <exception cref="ControlException">The device is not bound, or is another user's.</exception>
    internal static DeviceStatus GetStatus(ControlClient client, string text)
    {
        DeviceStatus status = client.GetStatus(Parse(text));
        if (text.Contains('/', StringComparison.Ordinal) && Path.GetFullPath(text) != status.Path)
            throw new CommandException($"{text}: failed to use device: the daemon's devices are in {Path.GetDirectoryName(status.Path)}");
        return status;
    }

    /// <summary>Whether a path lies in the directory of a loopd's devices.</summary>
    internal static bool IsOnLoopdMount(string path) =>
        MountTable.At(Path.GetDirectoryName(Path.GetFullPath(path)) ?? "/")?.Type == "fuse.loopd";
}
