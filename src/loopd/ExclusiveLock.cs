using System.Globalization;
using System.Text;
using LoopDaemon.Linux;

namespace LoopDaemon.Daemon;

/// <summary>The fence between two daemons: an flock on a file of its own, which the kernel drops when the last thread of
/// its holder has ended. The file holds the holder's process id and is removed at the end.</summary>
internal sealed class ExclusiveLock : IDisposable
{
    private const uint OwnerOnly = 0b110_000_000;

    private readonly string _path;
    private readonly FileDescriptor _file;

    private ExclusiveLock(string path, FileDescriptor file)
    {
        _path = path;
        _file = file;
    }

    /// <summary>Takes the lock as soon as the last thread of its holder has ended: a killed daemon lingers while it waits for a
    /// disk, and what it still writes must come before anything that its successor does.</summary>
    /// <param name="path">The lock file.</param>
    /// <param name="waiting">Called once, with the holder, where the lock is not free at once.</param>
    internal static ExclusiveLock Await(string path, Action<string> waiting)
    {
        bool told = false;
        while (true)
        {
            FileDescriptor file = FileDescriptor.Open(path, OpenFlags.ReadWrite | OpenFlags.Create, OwnerOnly);
            Errno error = file.Lock(wait: false);
            if (error != Errno.None && !told)
            {
                waiting(Holder(file));
                told = true;
            }
            if (error != Errno.None && file.Lock(wait: true) is var failure and not Errno.None)
                throw new LinuxException(failure, $"cannot lock {path}");
            if (TryFinish(path, file) is { } taken)
                return taken;
            file.Dispose();
        }
    }

    /// <summary>Takes the lock.</summary>
    /// <param name="path">The lock file.</param>
    /// <param name="purpose">What it guards, for the message: "the control socket /run/loopd/control".</param>
    /// <exception cref="LinuxException">EBUSY: another daemon holds it.</exception>
    internal static ExclusiveLock Take(string path, string purpose)
    {
        while (true)
        {
            FileDescriptor file = FileDescriptor.Open(path, OpenFlags.ReadWrite | OpenFlags.Create, OwnerOnly);
            Errno error = file.Lock(wait: false);
            if (error != Errno.None)
            {
                string holder = Holder(file);
                file.Dispose();
                throw LinuxException.WithMessage(Errno.EBUSY, $"another loopd{holder} serves {purpose}");
            }
            if (TryFinish(path, file) is { } taken)
                return taken;
            file.Dispose();
        }
    }

    /// <summary>The process that the file names; null where there is no file. The lock itself is left alone: .NET's own way to
    /// read a file would take one.</summary>
    internal static int? FindHolder(string path)
    {
        if (FileDescriptor.TryOpen(path, OpenFlags.ReadOnly, out FileDescriptor? file) != Errno.None)
            return null;
        using (file)
            return ReadHolder(file!);
    }

    public void Dispose()
    {
        File.Delete(_path);
        _file.Dispose();
    }

    /// <summary>Its last holder removes the file: a lock on a removed one guards nothing.</summary>
    private static ExclusiveLock? TryFinish(string path, FileDescriptor file)
    {
        bool same = file.GetStatus(out FileStatus ours) == Errno.None
            && FileStatus.Of(path, out FileStatus named) == Errno.None
            && ours.Inode == named.Inode && ours.Device == named.Device;
        if (!same)
            return null;
        file.SetLength(0);
        file.WriteAt(0, Encoding.ASCII.GetBytes($"{Environment.ProcessId}\n"));
        return new ExclusiveLock(path, file);
    }

    private static string Holder(FileDescriptor file) => ReadHolder(file) is { } process ? $" (process {process})" : "";

    private static int? ReadHolder(FileDescriptor file)
    {
        Span<byte> text = stackalloc byte[16];
        return file.ReadAt(0, text, out int count) == Errno.None
            && int.TryParse(Encoding.ASCII.GetString(text[..count]).Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out int process)
            ? process : null;
    }
}
