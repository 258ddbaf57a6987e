using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary>Which devices are bound to a file (losetup -j): by file system and inode, and only where the file cannot be looked
/// at, by its name.</summary>
internal static class Association
{
    /// <summary>The devices among some that are bound to a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="offset">The offset in it that they must have, in bytes, or null for any.</param>
    /// <param name="devices">The devices.</param>
    internal static IReadOnlyList<DeviceStatus> Of(string path, ulong? offset, IReadOnlyList<DeviceStatus> devices)
    {
        bool isThere = FileStatus.Of(path, out FileStatus file) == Errno.None;
        var fileSystem = new DeviceNumber(file.DeviceMajor, file.DeviceMinor);
        string fullPath = Path.GetFullPath(path);
        return [.. devices.Where(device =>
            (isThere ? device.BackingInode == file.Inode && device.BackingDevice == fileSystem : device.BackingFile == fullPath)
            && (offset is null || (ulong)device.Offset == offset))];
    }
}
