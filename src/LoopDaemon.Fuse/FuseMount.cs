using System.Diagnostics;
using LoopDaemon.Linux;

namespace LoopDaemon.Fuse;

/// <summary>How to mount.</summary>
/// <param name="Name">What stands as the source in the table of mounts; the type is <c>fuse.NAME</c>.</param>
/// <param name="AllowOther">Let users other than the mounting one in (for anyone but root, /etc/fuse.conf must permit it).</param>
public sealed record FuseMountOptions(string Name, bool AllowOther);

/// <summary>A FUSE mount: made with mount(2) by root, by the setuid program <c>fusermount3</c> for anyone else, with
/// <c>nosuid,nodev,default_permissions</c>.</summary>
public sealed class FuseMount : IDisposable
{
    private const string Unprivileged = "fusermount3";

    private FuseMount(FuseConnection connection, string mountPoint)
    {
        Connection = connection;
        MountPoint = mountPoint;
        MountEntry? entry = MountTable.At(mountPoint);
        Device = entry is null ? default : (entry.DeviceMajor, entry.DeviceMinor);
    }

    /// <summary>The kernel's end; disposed with the mount.</summary>
    public FuseConnection Connection { get; }

    /// <summary>Where it is mounted, an absolute path without symbolic links.</summary>
    public string MountPoint { get; }

    /// <summary>The file system's device number, which fstat(2) shows for each file on it.</summary>
    public (uint Major, uint Minor) Device { get; }

    /// <summary>Mounts on an existing directory. Requests wait until a <see cref="FuseServer"/> serves the connection: a
    /// process must not look at the mount point before it has started one.</summary>
    /// <exception cref="LinuxException">The mount is refused.</exception>
    public static FuseMount Mount(string mountPoint, FuseMountOptions options)
    {
        FileDescriptor device = Credentials.IsRoot ? MountAsRoot(mountPoint, options) : MountByHelper(mountPoint, options);
        return new FuseMount(new FuseConnection(device), mountPoint);
    }

    /// <summary>Takes over a mount from a process that has ended.</summary>
    /// <param name="device">Its open <c>/dev/fuse</c>, which the mount owns from now on.</param>
    /// <param name="mountPoint">Where it is mounted; not looked at, as that would hang until it is served.</param>
    public static FuseMount Adopt(FileDescriptor device, string mountPoint) => new(new FuseConnection(device), mountPoint);

    /// <summary>Unmounts.</summary>
    /// <param name="mountPoint">The mount point.</param>
    /// <param name="detach">Take it out of sight even if it is busy; it ends with its last user.</param>
    /// <returns>EBUSY where it is in use, EINVAL where nothing is mounted.</returns>
    public static Errno Unmount(string mountPoint, bool detach)
    {
        if (Credentials.IsRoot)
            return MountTable.Unmount(mountPoint, detach);
        string[] arguments = detach ? ["-u", "-q", "-z", "--", mountPoint] : ["-u", "-q", "--", mountPoint];
        using Process helper = StartHelper(arguments, communication: null);
        helper.StandardError.ReadToEnd();
        helper.WaitForExit();
        return helper.ExitCode == 0 ? Errno.None : Errno.EBUSY;
    }

    /// <summary>Whether /etc/fuse.conf lets users other than root choose <c>allow_other</c> (fuse(8)).</summary>
    public static bool UsersMayAllowOther(string configuration = "/etc/fuse.conf") =>
        File.Exists(configuration) && File.ReadLines(configuration).Any(line => line.Trim() == "user_allow_other");

    /// <summary>Closes the connection; unless somebody else holds it, the kernel then fails what is still open with ENOTCONN.</summary>
    public void Dispose() => Connection.Dispose();

    private static FileDescriptor MountAsRoot(string mountPoint, FuseMountOptions options)
    {
        const uint NoSuid = 2, NoDev = 4;
        Errno error = FileDescriptor.TryOpen("/dev/fuse", OpenFlags.ReadWrite, out FileDescriptor? device);
        if (device is null)
        {
            throw LinuxException.WithMessage(error,
                $"cannot open /dev/fuse: {error.Describe()}{(error == Errno.ENOENT ? "; modprobe fuse brings the kernel's FUSE" : "")}");
        }
        string data = $"fd={device.Number},rootmode=40755,user_id={Credentials.UserId},group_id={Credentials.GroupId},default_permissions"
            + (options.AllowOther ? ",allow_other" : "");
        error = MountTable.Mount(options.Name, mountPoint, $"fuse.{options.Name}", NoSuid | NoDev, data);
        if (error == Errno.None)
            return device;
        device.Dispose();
        throw new LinuxException(error, $"cannot mount on {mountPoint}");
    }

    /// <summary>fusermount3 sends the descriptor over the socket that _FUSE_COMMFD names (fusermount3(1)).</summary>
    private static FileDescriptor MountByHelper(string mountPoint, FuseMountOptions options)
    {
        (FileDescriptor here, FileDescriptor there) = DescriptorPassing.CreatePair();
        using (here)
        {
            string mountOptions = $"nosuid,nodev,fsname={options.Name},subtype={options.Name},default_permissions"
                + (options.AllowOther ? ",allow_other" : "");
            Process helper;
            using (there)
                helper = StartHelper(["-o", mountOptions, "--", mountPoint], there);
            using (helper)
            {
                var received = new List<FileDescriptor>();
                Span<byte> oneByte = stackalloc byte[1];
                Errno error = DescriptorPassing.Receive(here.Number, oneByte, received, maxDescriptors: 1, wait: true, out _, out _);
                string complaint = helper.StandardError.ReadToEnd().Trim();
                helper.WaitForExit();
                if (error == Errno.None && received.Count == 1)
                    return received[0];
                throw LinuxException.WithMessage(error == Errno.None ? Errno.EPERM : error,
                    $"cannot mount on {mountPoint}: {(complaint.Length > 0 ? complaint : $"{Unprivileged} sent no descriptor")}");
            }
        }
    }

    private static Process StartHelper(string[] arguments, FileDescriptor? communication)
    {
        var start = new ProcessStartInfo(Unprivileged, arguments) { RedirectStandardError = true, UseShellExecute = false };
        if (communication is not null)
            start.Environment["_FUSE_COMMFD"] = communication.Number.ToString(System.Globalization.CultureInfo.InvariantCulture);
        try
        {
            return Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception missing)
        {
            throw LinuxException.WithMessage(Errno.ENOENT,
                $"cannot mount without root: {Unprivileged} cannot be started ({missing.Message}); install the package fuse3");
        }
    }
}
