namespace LoopDaemon.Linux;

/// <summary>What a file is (the S_IFMT part of its mode).</summary>
public enum FileKind
{
    /// <summary>A named or anonymous pipe.</summary>
    Fifo = 0x1000,
    /// <summary>A character device.</summary>
    CharacterDevice = 0x2000,
    /// <summary>A directory.</summary>
    Directory = 0x4000,
    /// <summary>A block device.</summary>
    BlockDevice = 0x6000,
    /// <summary>A regular file.</summary>
    RegularFile = 0x8000,
    /// <summary>A symbolic link.</summary>
    SymbolicLink = 0xA000,
    /// <summary>A socket.</summary>
    Socket = 0xC000,
}

/// <summary>What statx(2) says of a file.</summary>
/// <param name="Kind">Regular file, block device, directory, ...</param>
/// <param name="Permissions">The lower 12 bits of the mode.</param>
/// <param name="SizeBytes">st_size; 0 for a block device, whose size <see cref="FileDescriptor.BlockDeviceSize"/> gives.</param>
/// <param name="AllocatedBytes">Space in use on the file system.</param>
/// <param name="BlockSizeBytes">The preferred size of an I/O.</param>
/// <param name="Inode">The inode number.</param>
/// <param name="DeviceMajor">Major number of the file system's device.</param>
/// <param name="DeviceMinor">Minor number of the file system's device.</param>
/// <param name="Uid">The owner.</param>
/// <param name="Gid">The group.</param>
/// <param name="Links">Count of names; 0 for a deleted file.</param>
/// <param name="ModifiedNs">Time of the last change of data, in nanoseconds since 1970.</param>
public readonly record struct FileStatus(
    FileKind Kind, uint Permissions, long SizeBytes, long AllocatedBytes, uint BlockSizeBytes, ulong Inode,
    uint DeviceMajor, uint DeviceMinor, uint Uid, uint Gid, uint Links, long ModifiedNs)
{
    /// <summary>The file system's device as one number, <c>st_dev</c>.</summary>
    public ulong Device => PackDevice(DeviceMajor, DeviceMinor);

    /// <summary>The two halves of a device number as one, as glibc's gnu_dev_makedev packs them.</summary>
    public static ulong PackDevice(uint major, uint minor) =>
        ((ulong)(major & 0xfffff000) << 32) | ((ulong)(major & 0xfff) << 8)
        | ((ulong)(minor & 0xffffff00) << 12) | (minor & 0xff);

    /// <summary>Asks for the status of a path, following symbolic links.</summary>
    /// <param name="path">The path.</param>
    /// <param name="status">Its status.</param>
    /// <param name="fresh">Ask the file system's server, even where the kernel remembers an answer that is still valid
    /// (AT_STATX_FORCE_SYNC).</param>
    /// <returns><see cref="Errno.None"/> and the status, or the error.</returns>
    public static unsafe Errno Of(string path, out FileStatus status, bool fresh = false)
    {
        const int AtFdcwd = -100, ForceSync = 0x2000;
        Libc.StatxBuffer raw;
        return Finish(Libc.statx(AtFdcwd, path, fresh ? ForceSync : 0, BasicStats, &raw), in raw, out status);
    }

    internal const uint BasicStats = 0x7ff;

    internal static Errno Finish(int result, in Libc.StatxBuffer raw, out FileStatus status)
    {
        if (result < 0)
        {
            status = default;
            return LastError.Get();
        }
        status = new FileStatus(
            (FileKind)(raw.Mode & 0xF000), raw.Mode & 0xFFFu, (long)raw.Size, (long)raw.Blocks * 512, raw.BlockSize,
            raw.Inode, raw.DevMajor, raw.DevMinor, raw.Uid, raw.Gid, raw.Links,
            raw.ModifyTime.Seconds * 1_000_000_000 + raw.ModifyTime.Nanoseconds);
        return Errno.None;
    }
}
