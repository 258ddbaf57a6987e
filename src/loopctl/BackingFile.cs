using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary>A backing file, opened with the user's own rights as losetup does it.</summary>
internal static class BackingFile
{
    /// <summary>Opens a file for a device to be bound to.</summary>
    /// <param name="path">The file.</param>
    /// <param name="readOnly">Whether the device is to be read-only; set where the file allows no more (EROFS, EACCES).</param>
    /// <exception cref="CommandException">It cannot be opened, or is of a kind that no device can be made from.</exception>
    internal static FileDescriptor Open(string path, ref bool readOnly)
    {
        if (path.Length == 0)
            throw new CommandException($"{path}: failed to use backing file: {Errno.ENOENT.Describe()}");
        // Looked at first: opening a FIFO waits for its writer.
        Errno error = FileStatus.Of(path, out FileStatus status);
        if (error == Errno.None && KindRefused(status.Kind) is { } kind)
            throw Refused(path, kind);
        FileDescriptor? file = null;
        if (error == Errno.None)
            error = FileDescriptor.TryOpen(path, readOnly ? OpenFlags.ReadOnly : OpenFlags.ReadWrite, out file);
        if (error is Errno.EROFS or Errno.EACCES && !readOnly)
        {
            readOnly = true;
            error = FileDescriptor.TryOpen(path, OpenFlags.ReadOnly, out file);
        }
        return error == Errno.None ? file! : throw Refused(path, error.Describe());
    }

    /// <summary>No device can be made from this file.</summary>
    internal static CommandException Refused(string path, string reason) => new($"{path}: failed to set up loop device: {reason}");

    private static string? KindRefused(FileKind kind) => kind switch
    {
        FileKind.RegularFile or FileKind.BlockDevice => null,
        FileKind.Directory => Errno.EISDIR.Describe(),
        FileKind.Fifo => Unusable("FIFO"),
        FileKind.CharacterDevice => Unusable("character device"),
        FileKind.Socket => Unusable("socket"),
        _ => Unusable("file of another kind"),
    };

    private static string Unusable(string kind) => $"is a {kind}; a backing file must be a regular file or a block device";
}
