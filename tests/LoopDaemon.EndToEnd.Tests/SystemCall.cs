using LoopDaemon.Linux;
using Mono.Unix.Native;
using Errno = LoopDaemon.Linux.Errno;
using OpenFlags = LoopDaemon.Linux.OpenFlags;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>System calls that the daemon has no use for, each as its errno.</summary>
internal static class SystemCall
{
    internal static Errno Open(string path, OpenFlags flags)
    {
        Errno error = FileDescriptor.TryOpen(path, flags, out FileDescriptor? opened, 0b110_110_110);
        opened?.Dispose();
        return error;
    }

    internal static Errno MakeFifo(string path) => Check(Syscall.mkfifo(path, FilePermissions.DEFFILEMODE));

    internal static Errno MakeNode(string path) => Check(Syscall.mknod(path, FilePermissions.S_IFREG | FilePermissions.DEFFILEMODE, 0));

    internal static Errno MakeDirectory(string path) => Check(Syscall.mkdir(path, FilePermissions.ACCESSPERMS));

    internal static Errno RemoveDirectory(string path) => Check(Syscall.rmdir(path));

    internal static Errno Unlink(string path) => Check(Syscall.unlink(path));

    internal static Errno Rename(string from, string to) => Check(Stdlib.rename(from, to));

    internal static Errno Link(string from, string to) => Check(Syscall.link(from, to));

    internal static Errno SymbolicLink(string target, string path) => Check(Syscall.symlink(target, path));

    internal static Errno ChangeMode(string path, uint permissions) => Check(Syscall.chmod(path, (FilePermissions)permissions));

    internal static Errno ChangeOwner(string path, uint user, uint group) => Check(Syscall.chown(path, user, group));

    internal static Errno Truncate(string path, long length) => Check(Syscall.truncate(path, length));

    internal static Errno SetAttribute(string path, string name) => Check(Syscall.setxattr(path, name, [1]));

    internal static Errno GetAttribute(string path, string name) => Check((int)Syscall.getxattr(path, name, new byte[16], 16));

    internal static Errno RemoveAttribute(string path, string name) => Check(Syscall.removexattr(path, name));

    internal static Errno SeekTo(FileDescriptor file, long offset) =>
        Syscall.lseek(file.Number, offset, SeekFlags.SEEK_SET) < 0 ? (Errno)Stdlib.GetLastError() : Errno.None;

    internal static Errno Statistics(string path, out Statvfs statistics) => Check(Syscall.statvfs(path, out statistics));

    private static Errno Check(int result) => result < 0 ? (Errno)Stdlib.GetLastError() : Errno.None;
}
