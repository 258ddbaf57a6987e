using LoopDaemon.Devices;

namespace LoopDaemon.Daemon;

/// <summary>Where the devices' files are, once the daemon has mounted them.</summary>
internal sealed class DeviceDirectory
{
    /// <summary>The mount point, an absolute path.</summary>
    internal string Path { get; private set; } = "";

    /// <summary>The device number that fstat(2) shows for files in it.</summary>
    internal (uint Major, uint Minor) FileSystem { get; private set; }

    internal void Locate(string path, (uint Major, uint Minor) fileSystem) => (Path, FileSystem) = (path, fileSystem);

    internal string PathOf(LoopDevice device, int partition = 0) =>
        System.IO.Path.Combine(Path, DeviceFileName.Of(device.Number, partition));
}
