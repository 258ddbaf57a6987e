using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary>Words for a daemon's refusal to bind a file.</summary>
internal static class BindRefusal
{
    /// <summary>Why a file cannot be bound.</summary>
    /// <param name="refused">What the daemon says.</param>
    /// <param name="path">The file, as the user named it.</param>
    /// <param name="file">The same, opened.</param>
    /// <param name="devicePath">The device, where it was to be a certain one.</param>
    internal static CommandException Of(ControlException refused, string path, FileDescriptor file, string? devicePath)
    {
        // The daemon knows the file by its full path, which need not be said twice.
        string fullPath = $"{file.DescribePath()}: ";
        string reason = refused.Message.StartsWith(fullPath, StringComparison.Ordinal) ? refused.Message[fullPath.Length..] : Failure.Reason(refused);
        return refused.Error switch
        {
            ControlError.NoFreeDevice => NothingFree(refused),
            ControlError.Overlapping => new CommandException($"{path}: {refused.Message}"),
            ControlError.Busy => BackingFile.Refused(path, $"{reason} ({refused.Message})"),
            ControlError.NoSuchDevice => BackingFile.Refused(devicePath ?? path, refused.Message),
            _ => BackingFile.Refused(path, reason),
        };
    }

    internal static CommandException NothingFree(ControlException refused) =>
        new($"cannot find an unused loop device: {Failure.Reason(refused)}");
}
