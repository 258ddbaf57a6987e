using System.Globalization;
using System.Text;

namespace LoopDaemon.Linux;

/// <summary>One line of /proc/self/mountinfo (proc_pid_mountinfo(5)).</summary>
/// <param name="DeviceMajor">Major number of the file system's device.</param>
/// <param name="DeviceMinor">Minor number of the file system's device.</param>
/// <param name="MountPoint">Where it is mounted.</param>
/// <param name="Type">The file system's type, such as <c>fuse.loopd</c>.</param>
/// <param name="Source">What is mounted, such as <c>/dev/loop0</c>.</param>
public sealed record MountEntry(uint DeviceMajor, uint DeviceMinor, string MountPoint, string Type, string Source);

/// <summary>The mounts of this process's namespace, and mounting and unmounting.</summary>
public static class MountTable
{
    /// <summary>All mounts, in the order they were made: the last one on a mount point is the one in sight.</summary>
    public static IReadOnlyList<MountEntry> Read() => Parse(File.ReadLines("/proc/self/mountinfo"));

    /// <summary>The mount in sight at a path, or null.</summary>
    /// <param name="mountPoint">An absolute path without symbolic links.</param>
    public static MountEntry? At(string mountPoint) => Read().LastOrDefault(entry => entry.MountPoint == mountPoint);

    /// <summary>mount(2).</summary>
    /// <param name="source">What to mount.</param>
    /// <param name="target">Where.</param>
    /// <param name="type">The file system's type.</param>
    /// <param name="flags">MS_NOSUID 2, MS_NODEV 4 and so on.</param>
    /// <param name="data">The file system's own options, comma-separated.</param>
    public static Errno Mount(string source, string target, string type, uint flags, string data) =>
        Libc.mount(source, target, type, flags, data) < 0 ? LastError.Get() : Errno.None;

    /// <summary>umount2(2).</summary>
    /// <param name="target">The mount point; never followed when it is a symbolic link.</param>
    /// <param name="detach">Take the mount out of sight at once and end it when its last user does (MNT_DETACH).</param>
    public static Errno Unmount(string target, bool detach)
    {
        const int Detach = 2, NoFollow = 8;
        return Libc.umount2(target, NoFollow | (detach ? Detach : 0)) < 0 ? LastError.Get() : Errno.None;
    }

    /// <summary>Reads lines of mountinfo's form.</summary>
    public static IReadOnlyList<MountEntry> Parse(IEnumerable<string> lines)
    {
        var entries = new List<MountEntry>();
        foreach (string line in lines)
        {
            // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw: the optional fields end at a lone dash.
            string[] fields = line.Split(' ');
            int dash = Array.IndexOf(fields, "-", Math.Min(6, fields.Length));
            if (dash < 0 || dash + 2 >= fields.Length)
                continue;
            string[] device = fields[2].Split(':');
            entries.Add(new MountEntry(
                uint.Parse(device[0], CultureInfo.InvariantCulture), uint.Parse(device[1], CultureInfo.InvariantCulture),
                Unescape(fields[4]), Unescape(fields[dash + 1]), Unescape(fields[dash + 2])));
        }
        return entries;
    }

    /// <summary>Space, tab, newline and backslash stand as \040, \011, \012 and \134.</summary>
    private static string Unescape(string field)
    {
        if (!field.Contains('\\', StringComparison.Ordinal))
            return field;
        var text = new StringBuilder(field.Length);
        for (int i = 0; i < field.Length; i++)
        {
            if (field[i] == '\\' && i + 3 < field.Length)
            {
                text.Append((char)Convert.ToInt32(field.Substring(i + 1, 3), 8));
                i += 3;
            }
            else
            {
                text.Append(field[i]);
            }
        }
        return text.ToString();
    }
}
