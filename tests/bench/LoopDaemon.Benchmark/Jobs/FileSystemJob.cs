using System.Diagnostics;
using System.IO.Hashing;
using LoopDaemon.Benchmark.Machine;
using LoopDaemon.Benchmark.Processes;
using LoopDaemon.Linux;

namespace LoopDaemon.Benchmark.Jobs;

/// <summary>How long the steps of <see cref="FileSystemJob"/> took.</summary>
/// <param name="MakeSeconds">mkfs.ext4 and e2fsck -fn.</param>
/// <param name="UnpackSeconds">Unpacking the archive, with a sync at the end.</param>
/// <param name="WalkSeconds">Looking at all files and reading some, on a cold cache.</param>
/// <param name="Digest">Of what the walk saw; the same on every device.</param>
internal sealed record FileSystemTimes(double MakeSeconds, double UnpackSeconds, double WalkSeconds, ulong Digest);

/// <summary>What somebody does with a block device: makes an ext4 on it, checks it, mounts it, unpacks an archive, and has all
/// the files looked at, as git status does.</summary>
internal static class FileSystemJob
{
    private const int ReadEvery = 10;

    internal static FileSystemTimes Run(string device, FileTree tree, Workspace workspace, CancellationToken cancellation)
    {
        PageCache.Drop();
        double make = Time(() => Make(device, cancellation));
        string mountPoint = workspace.NewFolder("ext4");
        Errno error = MountTable.Mount(device, mountPoint, "ext4", 0, "");
        if (error != Errno.None)
            throw new MeasurementException($"cannot mount the ext4 on {device}: {error.Describe()}");
        try
        {
            double unpack = Time(() => Unpack(tree, mountPoint, cancellation));
            PageCache.Drop();
            ulong digest = 0;
            double walk = Time(() => digest = Walk(mountPoint, cancellation));
            return new FileSystemTimes(make, unpack, walk, digest);
        }
        finally
        {
            Unmount(mountPoint);
        }
    }

    /// <summary>All of the file system is made now and nothing is discarded: an XOR device refuses discards, and where the
    /// others took them the images would no longer be alike.</summary>
    private static void Make(string device, CancellationToken cancellation)
    {
        Command.Run("mkfs.ext4", ["-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0", device], cancellation);
        Command.Run("e2fsck", ["-fn", device], cancellation);
    }

    private static void Unpack(FileTree tree, string mountPoint, CancellationToken cancellation)
    {
        TimeSpan limit = TimeSpan.FromMinutes(10);
        Command.Run("tar", ["-xf", tree.Archive, "-C", mountPoint], limit, cancellation);
        Command.Run("sync", ["-f", mountPoint], limit, cancellation);
    }

    private static ulong Walk(string mountPoint, CancellationToken cancellation)
    {
        // The order is that of the directories' hash trees, which is another in each file system.
        ulong digest = 0;
        byte[] buffer = new byte[1 << 20];
        foreach (FileInfo file in new DirectoryInfo(mountPoint).EnumerateFiles("*", SearchOption.AllDirectories))
        {
            cancellation.ThrowIfCancellationRequested();
            var hash = new XxHash64();
            hash.Append(BitConverter.GetBytes(file.Length));
            // Which files are read must not depend on the order either.
            if (file.Length % ReadEvery == 0)
            {
                using FileStream contents = new(file.FullName, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
                for (int count; (count = contents.Read(buffer)) > 0;)
                    hash.Append(buffer.AsSpan(0, count));
            }
            digest += hash.GetCurrentHashAsUInt64();
        }
        return digest;
    }

    private static void Unmount(string mountPoint)
    {
        // Something may look at a new mount for a moment.
        Errno error = Errno.EBUSY;
        for (int i = 0; i < 50 && error == Errno.EBUSY; i++)
        {
            error = MountTable.Unmount(mountPoint, detach: false);
            if (error == Errno.EBUSY)
                Thread.Sleep(100);
        }
        if (error != Errno.None)
            Console.Error.WriteLine($"cannot unmount {mountPoint}: {error.Describe()}");
    }

    private static double Time(Action action)
    {
        var clock = Stopwatch.StartNew();
        action();
        return clock.Elapsed.TotalSeconds;
    }
}
