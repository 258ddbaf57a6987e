using LoopDaemon.Linux;

namespace LoopDaemon.Benchmark.Machine;

/// <summary>A temporary folder of the benchmark's own. Disposing it takes down whatever is still attached to it or mounted in
/// it, and removes it.</summary>
internal sealed class Workspace : IDisposable
{
    private int _count;

    /// <param name="parent">The folder to make it in.</param>
    internal Workspace(string parent)
    {
        Folder = Path.Combine(Path.GetFullPath(parent), $"loopd-bench-{Guid.NewGuid():N}"[..20]);
        Directory.CreateDirectory(Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    internal string Folder { get; }

    /// <summary>A path in the folder that nobody has had before.</summary>
    internal string NewPath(string name) => Path.Combine(Folder, $"{name}.{_count++}");

    /// <summary>A new folder in the folder.</summary>
    internal string NewFolder(string name) => Directory.CreateDirectory(NewPath(name)).FullName;

    public void Dispose()
    {
        DetachLeftovers();
        try
        {
            Directory.Delete(Folder, recursive: true);
        }
        catch (IOException e)
        {
            Console.Error.WriteLine($"{Folder} stays behind: {e.Message}");
        }
    }

    /// <summary>Everything has its owner, which takes it down; this is for what an owner failed to.</summary>
    private void DetachLeftovers()
    {
        string inside = Folder + "/";
        foreach (KernelLoop.Attached left in KernelLoop.List().Where(device => device.BackingFile.StartsWith(inside, StringComparison.Ordinal)))
        {
            foreach (MountEntry mount in MountTable.Read().Where(entry => entry.Source == left.Path).Reverse())
                MountTable.Unmount(mount.MountPoint, detach: false);
            Try(() => Processes.Command.Run("losetup", ["-d", left.Path], CancellationToken.None));
        }
        foreach (MountEntry mount in MountTable.Read().Where(entry => entry.MountPoint.StartsWith(inside, StringComparison.Ordinal)).Reverse())
        {
            if (MountTable.Unmount(mount.MountPoint, detach: false) != Errno.None)
                MountTable.Unmount(mount.MountPoint, detach: true);
        }
    }

    private static void Try(Action action)
    {
        try
        {
            action();
        }
        catch (MeasurementException e)
        {
            Console.Error.WriteLine(e.Message);
        }
    }
}
