using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>A directory to mount on. Disposing it unmounts what a test that failed has left there, so that the chain below
/// comes down with it.</summary>
internal sealed class MountDirectory : IDisposable
{
    internal MountDirectory(Loopd loopd, string name = "mnt")
    {
        Path = loopd.File(name);
        Directory.CreateDirectory(Path);
    }

    internal string Path { get; }

    /// <summary>Unmounts, by the system's own umount.</summary>
    internal void Unmount() => Shell.Run("umount", Path).Succeeded();

    public void Dispose()
    {
        while (MountTable.At(Path) is not null)
            MountTable.Unmount(Path, detach: true);
    }
}
