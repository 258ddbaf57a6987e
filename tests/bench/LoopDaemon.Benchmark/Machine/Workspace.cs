using System.Text.RegularExpressions;
using LoopDaemon.Benchmark.Processes;
using LoopDaemon.Linux;

namespace LoopDaemon.Benchmark.Machine;

/// <summary>A temporary folder of the benchmark's own. Disposing it takes down whatever is still attached to it or mounted in
/// it, and removes it.</summary>
internal sealed partial class Workspace : IDisposable
{
    private const string Prefix = "loopd-bench-";

    private int _count;

    /// <param name="parent">The folder to make it in.</param>
    internal Workspace(string parent)
    {
        Folder = Path.Combine(Path.GetFullPath(parent), $"{Prefix}{Guid.NewGuid():N}"[..(Prefix.Length + 8)]);
        Directory.CreateDirectory(Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    internal string Folder { get; }

    /// <summary>A path in the folder that nobody has had before.</summary>
    internal string NewPath(string name) => Path.Combine(Folder, $"{name}.{_count++}");

    /// <summary>A new folder in the folder.</summary>
    internal string NewFolder(string name) => Directory.CreateDirectory(NewPath(name)).FullName;

    /// <summary>A program's message without the folders, which say nothing to somebody else.</summary>
    internal static string Shorten(string message) => FolderInText().Replace(message, "");

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

    [GeneratedRegex($"/[^ ]*/{Prefix}[0-9a-f]{{8}}/")]
    private static partial Regex FolderInText();

    /// <summary>Everything has its owner, which takes it down; this is for what an owner failed to.</summary>
    private void DetachLeftovers()
    {
        string inside = Folder + "/";
        foreach (KernelLoop.Attached left in KernelLoop.List().Where(device => device.BackingFile.StartsWith(inside, StringComparison.Ordinal)))
        {
            foreach (MountEntry mount in MountTable.Read().Where(entry => entry.Source == left.Path).Reverse())
                MountTable.Unmount(mount.MountPoint, detach: false);
            Try(() => Command.Run("losetup", ["-d", left.Path], CancellationToken.None));
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
