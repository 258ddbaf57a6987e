using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary>The directory that an image is mounted on.</summary>
internal static class MountDirectory
{
    /// <summary>The path as the table of mounts has it: absolute, without symbolic links or a slash at its end.</summary>
    internal static string Resolve(string path)
    {
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        if (FileDescriptor.TryOpen(full, OpenFlags.PathOnly, out FileDescriptor? named) != Errno.None)
            return full;
        using (named)
            return named!.DescribePath();
    }

    /// <summary>Makes a directory and those above it that are missing.</summary>
    /// <param name="path">The absolute path.</param>
    /// <param name="made">Is given how to take back each one that was made.</param>
    internal static void Make(string path, Stack<Action> made)
    {
        if (Directory.Exists(path))
            return;
        if (Path.GetDirectoryName(path) is { } parent)
            Make(parent, made);
        Directory.CreateDirectory(path);
        made.Push(() => Directory.Delete(path));
    }
}
