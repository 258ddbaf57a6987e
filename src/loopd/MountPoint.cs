using LoopDaemon.Control;
using LoopDaemon.Fuse;
using LoopDaemon.Linux;
using Microsoft.Extensions.Logging;

namespace LoopDaemon.Daemon;

/// <summary>The directory that the devices are mounted on: made where it is missing, cleaned of a dead daemon's mount,
/// refused where something living is mounted, removed at the end if it was made here or is the default one.</summary>
internal sealed partial class MountPoint : IDisposable
{
    private static readonly TimeSpan AnswerTime = TimeSpan.FromSeconds(5);

    private readonly ILogger _logger;
    private readonly bool _made;

    private MountPoint(string path, bool made, ILogger logger)
    {
        Path = path;
        _made = made;
        _logger = logger;
    }

    /// <summary>The absolute path.</summary>
    internal string Path { get; }

    /// <summary>Gets a directory ready to be mounted on.</summary>
    /// <exception cref="LinuxException">It is in use, is no directory, or cannot be made.</exception>
    internal static MountPoint Prepare(string directory, ILogger logger)
    {
        string path = Resolve(directory);
        // The default directory is a daemon's own, even where one that was killed has left it behind.
        bool made = path == RuntimeDirectory.DefaultMount;
        MountEntry? present;
        while ((present = MountTable.At(path)) is { Type: "fuse.loopd" } && IsDead(path))
            Clean(path, logger);
        if (present is not null)
            throw LinuxException.WithMessage(Errno.EBUSY, present.Type == "fuse.loopd"
                ? $"another loopd serves {path}: end it first, or choose another directory with --mount"
                : $"{path} is a mount point already ({present.Type}): choose another directory with --mount");
        made |= !Directory.Exists(path);
        try
        {
            Directory.CreateDirectory(path);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw LinuxException.WithMessage(Errno.EACCES, $"cannot make the directory {path}: {refused.Message}");
        }
        return new MountPoint(path, made, logger);
    }

    /// <summary>Goes on with the mount point of the last daemon, without a look at it: that would hang.</summary>
    internal static MountPoint Adopt(string path, bool isOwned, ILogger logger) => new(path, isOwned, logger);

    /// <summary>Whether the directory goes with the mount.</summary>
    internal bool IsOwned => _made;

    public void Dispose()
    {
        if (!_made)
            return;
        try
        {
            Directory.Delete(Path);
        }
        catch (IOException inUse)
        {
            LogKept(_logger, Path, inUse.Message);
        }
    }

    /// <summary>Without symbolic links, as the table of mounts has it. The directory itself may hang and is not looked at.</summary>
    private static string Resolve(string directory)
    {
        string path = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(directory));
        string? parent = System.IO.Path.GetDirectoryName(path);
        if (parent is null || !Directory.Exists(parent))
            return path;
        using FileDescriptor open = FileDescriptor.Open(parent, OpenFlags.PathOnly);
        return System.IO.Path.Combine(open.DescribePath(), System.IO.Path.GetFileName(path));
    }

    /// <summary>A mount whose daemon died answers ENOTCONN at once, but for what the kernel remembers of its directory; one
    /// that does not answer at all is not dead.</summary>
    private static bool IsDead(string path)
    {
        Task<Errno> status = Task.Run(() => FileStatus.Of(path, out _, fresh: true));
        return status.Wait(AnswerTime) && status.Result is Errno.ENOTCONN or Errno.ECONNABORTED;
    }

    private static void Clean(string path, ILogger logger)
    {
        // Before the mount is out of sight: a file's path no longer shows where it was, then.
        List<KernelLoop.Attached> orphans = [.. KernelLoop.ListIn(path)];
        Errno error = FuseMount.Unmount(path, detach: true);
        if (error != Errno.None)
            throw new LinuxException(error, $"cannot clean the dead mount on {path}");
        LogCleaned(logger, path);
        IReadOnlyList<MountEntry> mounts = MountTable.Read();
        foreach (KernelLoop.Attached orphan in orphans)
        {
            string[] mounted = [.. orphan.MountsIn(mounts).Select(mount => ControlCharacters.Escape(mount.MountPoint))];
            LogOrphan(logger, orphan.Path, orphan.BackingFile, mounted.Length > 0 ? $", with {string.Join(", ", mounted)} mounted from it" : "");
        }
    }

    [LoggerMessage(LogLevel.Warning, "{MountPoint} was the mount of a loopd that has died; it is cleaned")]
    private static partial void LogCleaned(ILogger logger, string mountPoint);

    [LoggerMessage(LogLevel.Warning, "{KernelLoop} is left over on {BackingFile} of that mount{Mounted}: unmount what is on it, then losetup -d {KernelLoop}; loopctl doctor --fix does both")]
    private static partial void LogOrphan(ILogger logger, string kernelLoop, string backingFile, string mounted);

    [LoggerMessage(LogLevel.Warning, "{MountPoint} is kept: {Reason}")]
    private static partial void LogKept(ILogger logger, string mountPoint, string reason);
}
