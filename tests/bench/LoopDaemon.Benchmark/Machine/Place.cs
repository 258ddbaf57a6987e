using LoopDaemon.Linux;

namespace LoopDaemon.Benchmark.Machine;

/// <summary>Where the images lie.</summary>
internal sealed class Place : IDisposable
{
    internal const string Memory = "memory";
    internal const string Disk = "disk";

    private readonly Workspace? _workspace;

    private Place(string id, string folder, string fileSystem, Workspace? workspace)
    {
        Id = id;
        Folder = folder;
        FileSystem = fileSystem;
        _workspace = workspace;
    }

    /// <summary><see cref="Memory"/> or <see cref="Disk"/>.</summary>
    internal string Id { get; }

    internal string Folder { get; }

    /// <summary>The file system's type, such as ext4.</summary>
    internal string FileSystem { get; }

    /// <summary>Whether there is a disk that a page cache would hide: then everybody opens the image with O_DIRECT.</summary>
    internal bool HasDisk => Id == Disk;

    /// <summary>A tmpfs of the benchmark's own.</summary>
    internal static Place InMemory(Workspace workspace, long sizeBytes)
    {
        string folder = workspace.NewFolder(Memory);
        Errno error = MountTable.Mount("none", folder, "tmpfs", 0, $"size={sizeBytes},mode=0700");
        return error == Errno.None ? new Place(Memory, folder, "tmpfs", null)
            : throw new MeasurementException($"cannot mount a tmpfs: {error.Describe()}");
    }

    /// <summary>A temporary folder in a given one.</summary>
    internal static Place OnDisk(string folder)
    {
        var workspace = new Workspace(folder);
        MountEntry mount = MountTable.Read().Where(entry => IsInside(workspace.Folder, entry.MountPoint))
            .OrderBy(entry => entry.MountPoint.Length).Last();
        if (mount.Type is not ("tmpfs" or "ramfs"))
            return new Place(Disk, workspace.Folder, mount.Type, workspace);
        workspace.Dispose();
        throw new MeasurementException($"{folder} is a {mount.Type}; name a folder on a disk with --disk-folder");
    }

    public void Dispose()
    {
        if (_workspace is not null)
            _workspace.Dispose();
        else if (MountTable.Unmount(Folder, detach: false) is var error and not Errno.None)
            Console.Error.WriteLine($"cannot unmount {Folder}: {error.Describe()}");
    }

    private static bool IsInside(string path, string mountPoint) =>
        mountPoint == "/" || path.StartsWith(mountPoint + "/", StringComparison.Ordinal);
}
