using System.Runtime.InteropServices;
using System.Text;

namespace LoopDaemon.Linux;

/// <summary>The kernel's own loop devices (linux/loop.h), which mount a file where the kernel wants a block device.</summary>
public static class KernelLoop
{
    private const uint ControlGetFree = 0x4C82;
    private const uint Configure = 0x4C0A;
    private const uint ReadOnlyFlag = 1, AutoclearFlag = 4, DirectIoFlag = 16;

    /// <summary>A kernel loop device that is bound to a file.</summary>
    /// <param name="Path">The device, such as <c>/dev/loop3</c>.</param>
    /// <param name="BackingFile">Its backing file as the kernel names it.</param>
    public sealed record Attached(string Path, string BackingFile)
    {
        /// <summary>What is mounted from it or its partitions, in the order it was mounted.</summary>
        /// <param name="mounts">The table of mounts.</param>
        public IEnumerable<MountEntry> MountsIn(IEnumerable<MountEntry> mounts) =>
            mounts.Where(mount => mount.Source == Path || mount.Source.StartsWith(Path + "p", StringComparison.Ordinal));
    }

    /// <summary>Binds the first free kernel loop device to a file, with direct I/O on and autoclear: the device lives as
    /// long as somebody has it open or mounted.</summary>
    /// <param name="backingFile">The file; opened with O_DIRECT here.</param>
    /// <param name="readOnly">Make the device read-only.</param>
    /// <param name="path">The device's path.</param>
    /// <returns>The open device: dispose it after mounting.</returns>
    /// <exception cref="LinuxException">The kernel offers no loop devices, or refuses the file.</exception>
    public static FileDescriptor Attach(string backingFile, bool readOnly, out string path)
    {
        OpenFlags access = readOnly ? OpenFlags.ReadOnly : OpenFlags.ReadWrite;
        using FileDescriptor backing = FileDescriptor.Open(backingFile, access | FileDescriptor.Direct);
        using FileDescriptor control = OpenControl();
        while (true)
        {
            Errno error = control.Control(ControlGetFree, 0, out int number);
            if (error != Errno.None)
                throw new LinuxException(error, "cannot find a free kernel loop device");
            path = $"/dev/loop{number}";
            FileDescriptor device = FileDescriptor.Open(path, access);
            var config = new LoopConfig { Fd = (uint)backing.Number };
            config.Info.Flags = AutoclearFlag | DirectIoFlag | (readOnly ? ReadOnlyFlag : 0);
            byte[] name = Encoding.UTF8.GetBytes(backingFile);
            name.AsSpan(0, Math.Min(name.Length, 63)).CopyTo(config.Info.FileName);
            error = device.Control(Configure, ref config, out _);
            if (error == Errno.None)
                return device;
            device.Dispose();
            // Between GET_FREE and CONFIGURE somebody else may take the device: then ask again.
            if (error != Errno.EBUSY)
                throw new LinuxException(error, $"cannot bind {path} to {backingFile}");
        }
    }

    /// <summary>All bound kernel loop devices (/sys/block/loop*/loop/backing_file).</summary>
    public static IReadOnlyList<Attached> List()
    {
        var found = new List<Attached>();
        if (!Directory.Exists("/sys/block"))
            return found;
        foreach (string device in Directory.EnumerateDirectories("/sys/block", "loop*"))
        {
            try
            {
                string backing = File.ReadAllText(Path.Combine(device, "loop", "backing_file")).TrimEnd('\n');
                found.Add(new Attached("/dev/" + Path.GetFileName(device), backing));
            }
            catch (IOException)
            {
                // An unbound device has no such file.
            }
        }
        return found;
    }

    /// <summary>Those that are bound to a file in a directory, which is not looked at: its mount may be dead.</summary>
    /// <param name="directory">An absolute path without symbolic links.</param>
    public static IEnumerable<Attached> ListIn(string directory) =>
        List().Where(loop => loop.BackingFile.StartsWith(directory + "/", StringComparison.Ordinal));

    private static FileDescriptor OpenControl()
    {
        Errno error = FileDescriptor.TryOpen("/dev/loop-control", OpenFlags.ReadWrite, out FileDescriptor? control);
        return control ?? throw LinuxException.WithMessage(error,
            $"cannot open /dev/loop-control: {error.Describe()}{(error == Errno.ENOENT ? "; modprobe loop brings the kernel's loop devices" : "")}");
    }

    /// <summary><c>struct loop_config</c> of linux/loop.h: 304 bytes.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct LoopConfig
    {
        public uint Fd;
        public uint BlockSize;
        public LoopInfo64 Info;
        private readonly Reserved _reserved;
    }

    /// <summary><c>struct loop_info64</c>: 232 bytes.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct LoopInfo64
    {
        public ulong Device;
        public ulong Inode;
        public ulong RDevice;
        public ulong Offset;
        public ulong SizeLimit;
        public uint Number;
        public uint EncryptType;
        public uint EncryptKeySize;
        public uint Flags;
        public Name64 FileName;
        public Name64 CryptName;
        public Name32 EncryptKey;
        public ulong Init0;
        public ulong Init1;
    }

    [System.Runtime.CompilerServices.InlineArray(64)]
    private struct Name64
    {
        private byte _first;
    }

    [System.Runtime.CompilerServices.InlineArray(32)]
    private struct Name32
    {
        private byte _first;
    }

    [System.Runtime.CompilerServices.InlineArray(8)]
    private struct Reserved
    {
        private ulong _first;
    }
}
