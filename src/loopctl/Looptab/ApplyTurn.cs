using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary>One apply at a time for a daemon: two that do not find a name both would bind it. An flock on a file beside the
/// control socket, which goes with its holder.</summary>
internal sealed class ApplyTurn : IDisposable
{
    private readonly string _path;
    private readonly FileDescriptor? _file;

    private ApplyTurn(string path, FileDescriptor? file) => (_path, _file) = (path, file);

    /// <summary>Waits for its turn. Who may not write there has a daemon's devices to himself, but for his own other
    /// applies.</summary>
    /// <param name="socket">The daemon's control socket.</param>
    /// <exception cref="LinuxException">The file cannot be locked.</exception>
    internal static ApplyTurn Take(string socket)
    {
        const uint OwnerOnly = 0b110_000_000;
        string path = $"{socket}.apply";
        while (true)
        {
            Errno error = FileDescriptor.TryOpen(path, OpenFlags.ReadWrite | OpenFlags.Create, out FileDescriptor? file, OwnerOnly);
            if (file is null)
                return error is Errno.EACCES or Errno.EROFS or Errno.EPERM ? new ApplyTurn(path, null) : throw new LinuxException(error, $"cannot open {path}");
            error = file.Lock(wait: true);
            if (error != Errno.None)
            {
                file.Dispose();
                throw new LinuxException(error, $"cannot lock {path}");
            }
            // Its last holder removes the file: a lock on a removed one guards nothing.
            if (file.GetStatus(out FileStatus locked) == Errno.None && FileStatus.Of(path, out FileStatus named) == Errno.None
                && (locked.Device, locked.Inode) == (named.Device, named.Inode))
            {
                return new ApplyTurn(path, file);
            }
            file.Dispose();
        }
    }

    public void Dispose()
    {
        if (_file is null)
            return;
        File.Delete(_path);
        _file.Dispose();
    }
}
