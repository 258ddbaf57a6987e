using System.Diagnostics;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary>Mounts an image: binds a device, puts a kernel loop device with direct I/O on it, mounts that; all with autoclear,
/// so that a plain umount takes the whole chain down. (Buffered, a kernel loop device on a FUSE file is several times
/// slower.)</summary>
/// <param name="daemon">The daemon.</param>
/// <param name="bind">How the image is bound.</param>
/// <param name="path">The image.</param>
/// <param name="directory">Where it is mounted.</param>
internal sealed class ImageMount(Daemon daemon, BindOptions bind, string path, string directory)
{
    private static readonly TimeSpan LastCloseTime = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(20);

    /// <summary>Further arguments for mount(8), such as the type and the options.</summary>
    internal IReadOnlyList<string> Arguments { get; init; } = [];

    /// <summary>Is called with the kernel's device before that is mounted.</summary>
    internal Action<string, ConfigureRequest>? Prepare { get; init; }

    /// <summary>Whether it is well where the image is mounted there already, and the same way.</summary>
    internal bool MayBeMounted { get; init; }

    /// <summary>Is told each step that was taken.</summary>
    internal Action<string>? Tell { get; init; }

    /// <summary>The transfers as they are passed from the file to the device, and an arrow behind each.</summary>
    internal string Pipeline => string.Concat(bind.Transfers.Names.Reverse().Select(name => $"{name} -> "));

    /// <summary>Refuses a mount point that is none.</summary>
    /// <exception cref="CommandException">It is missing, or no directory.</exception>
    internal static void CheckDirectory(string directory)
    {
        if (File.Exists(directory))
            throw new CommandException($"{directory}: the mount point is not a directory");
        if (!Directory.Exists(directory))
            throw new CommandException($"{directory}: the mount point does not exist");
    }

    /// <summary>Does everything that can be done without changing anything.</summary>
    /// <exception cref="CommandException">It could not be mounted.</exception>
    internal void Check()
    {
        ConfigureRequest request = Request();
        using ControlClient? client = daemon.ConnectIfReady();
        if (client is null)
            return;
        if (!IsMounted(client, request))
            RefuseOverlap(client, request);
    }

    /// <summary>Mounts it.</summary>
    /// <returns>The device and the kernel's device on it; null where it is mounted there already.</returns>
    /// <exception cref="CommandException">It cannot be mounted; nothing is left bound.</exception>
    internal (ConfigureReply Device, string KernelLoop)? Run()
    {
        ConfigureRequest request = Request();
        using ControlClient client = daemon.ConnectOrStart();
        if (IsMounted(client, request))
        {
            Tell?.Invoke($"{path} is mounted on {directory} already");
            return null;
        }
        RefuseOverlap(client, request);
        request = bind.Transfers.ApplyPassphrases(request, client);
        using var signals = new PutOffSignals();
        ConfigureReply device = bind.Configure(client, request);
        Tell?.Invoke($"{path} -> {Pipeline}{device.Path}");
        return (device, MountDevice(client, request, device, signals));
    }

    private ConfigureRequest Request() => bind.Request(path) with { Autoclear = true };

    /// <summary>Whether this image is what is mounted there.</summary>
    private bool IsMounted(ControlClient client, ConfigureRequest request)
    {
        if (!MayBeMounted || MountTable.At(directory) is not { } mounted)
            return false;
        string? devicePath = KernelLoop.List().FirstOrDefault(loop => loop.Path == mounted.Source)?.BackingFile;
        return client.List().FirstOrDefault(device => device.Path == devicePath) is { } device && DeviceDifference.Of(device, request, client) is null;
    }

    /// <summary>Two mounts of one file system destroy it: what is bound already is not bound a second time to be mounted. One
    /// that was unmounted this moment may still be on its way out.</summary>
    private void RefuseOverlap(ControlClient client, ConfigureRequest request)
    {
        var clock = Stopwatch.StartNew();
        while (FindOverlap(client, request) is { } device)
        {
            if (!device.Autoclear || clock.Elapsed > LastCloseTime)
                throw new CommandException($"{path}: is bound to {device.Path} already, and mounting it twice would destroy it: unmount or detach that one first");
            Thread.Sleep(Step);
        }
    }

    private static DeviceStatus? FindOverlap(ControlClient client, ConfigureRequest request)
    {
        long end = request.SizeLimit > 0 ? request.Offset + request.SizeLimit : long.MaxValue;
        return client.List().FirstOrDefault(device =>
            DeviceDifference.IsBoundTo(device, request.BackingFile)
            && !(device.ReadOnly && request.ReadOnly)
            && device.Offset < end && (device.SizeLimit == 0 || device.Offset + device.SizeLimit > request.Offset));
    }

    private string MountDevice(ControlClient client, ConfigureRequest request, ConfigureReply device, PutOffSignals signals)
    {
        FileDescriptor kernelDevice;
        string kernelLoop;
        try
        {
            signals.ThrowIfAny();
            if (device.Size == 0)
                throw new CommandException($"{path}: has nothing to mount at offset {request.Offset}");
            kernelDevice = KernelLoop.Attach(device.Path, device.ReadOnly, out kernelLoop);
        }
        catch
        {
            // Nothing has opened it yet, so nothing would ever clear it.
            client.Clear(device.Device);
            throw;
        }
        // From here on closing the kernel's device clears it, and that clears ours.
        using (kernelDevice)
        {
            Tell?.Invoke($"{device.Path} -> {kernelLoop}");
            Prepare?.Invoke(kernelLoop, request);
            signals.ThrowIfAny();
            string[] readOnly = device.ReadOnly ? ["-o", "ro"] : [];
            try
            {
                ExternalProgram.RunOrFail($"{path}: cannot be mounted on {directory}", "mount", [.. Arguments, .. readOnly, "--", kernelLoop, directory]);
            }
            catch (ExternalProgramException)
            {
                // The terminal's interrupt ends the other program too.
                signals.ThrowIfAny();
                throw;
            }
            Tell?.Invoke($"{kernelLoop} -> {directory}");
        }
        return kernelLoop;
    }
}
