using System.Globalization;
using System.Text;
using LoopDaemon.Linux;

namespace LoopDaemon.Daemon;

/// <summary>The fence between two daemons: an flock on a file of its own, which the kernel drops when the last thread of
/// its holder has ended. The file holds the holder's process id and is removed at the end.</summary>
internal sealed class ExclusiveLock : IDisposable
{
    private readonly string _path;
    private readonly FileDescriptor _file;

    private ExclusiveLock(string path, FileDescriptor file)
    {
        _path = path;
        _file = file;
    }

    /// <summary>Takes the lock.</summary>
    /// <param name="path">The lock file.</param>
    /// <param name="purpose">What it guards, for the message: "the control socket /run/loopd/control".</param>
    /// <exception cref="LinuxException">EBUSY: another daemon holds it.</exception>
    internal static ExclusiveLock Take(string path, string purpose)
    {
        const uint OwnerOnly = 0b110_000_000;
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
            // Its last holder removes the file: a lock on a removed one guards nothing.
            bool same = file.GetStatus(out FileStatus ours) == Errno.None
                && FileStatus.Of(path, out FileStatus named) == Errno.None
                && ours.Inode == named.Inode && ours.Device == named.Device;
            if (same)
            {
                file.SetLength(0);
                file.WriteAt(0, Encoding.ASCII.GetBytes($"{Environment.ProcessId}\n"));
                return new ExclusiveLock(path, file);
            }
            file.Dispose();
        }
    }

    public void Dispose()
    {
        File.Delete(_path);
        _file.Dispose();
    }

    private static string Holder(FileDescriptor file)
    {
        Span<byte> text = stackalloc byte[16];
        return file.ReadAt(0, text, out int count) == Errno.None
            && int.TryParse(Encoding.ASCII.GetString(text[..count]).Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out int pid)
            ? $" (process {pid})" : "";
    }
}
