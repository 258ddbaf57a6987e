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
        // Looked at first: opening a FIFO waits for its writer.
        Errno error = FileStatus.Of(path, out FileStatus status);
        if (error == Errno.None && status.Kind is not (FileKind.RegularFile or FileKind.BlockDevice))
            throw new CommandException($"{path}: failed to set up loop device: is a {Kind(status.Kind)}; a backing file must be a regular file or a block device");
        FileDescriptor? file = null;
        if (error == Errno.None)
            error = FileDescriptor.TryOpen(path, readOnly ? OpenFlags.ReadOnly : OpenFlags.ReadWrite, out file);
        if (error is Errno.EROFS or Errno.EACCES && !readOnly)
        {
            readOnly = true;
            error = FileDescriptor.TryOpen(path, OpenFlags.ReadOnly, out file);
        }
        return error == Errno.None ? file!
            : throw new CommandException($"{path}: failed to set up loop device: {error.Describe()}");
    }

    private static string Kind(FileKind kind) => kind switch
    {
        FileKind.Directory => "directory",
        FileKind.Fifo => "FIFO",
        FileKind.CharacterDevice => "character device",
        FileKind.Socket => "socket",
        _ => "file of another kind",
    };
}
