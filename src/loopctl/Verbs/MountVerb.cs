using System.Diagnostics;
using System.Security.Cryptography;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary><c>loopctl mount FILE DIR</c>: binds a device, puts a kernel loop device with direct I/O on it, mounts that; all
/// with autoclear, so that a plain umount takes the whole chain down. (Buffered, a kernel loop device on a FUSE file is
/// several times slower.)</summary>
internal sealed class MountVerb : Verb
{
    private const int NewKeyBytes = 32;
    private static readonly TimeSpan LastCloseTime = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(20);
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly BindOptions _bind = new("--offset");
    private string? _create, _fileSystem, _type, _options;
    private string? _madeKey;

    internal MountVerb() => OwnOptions =
    [
        new OptionGroup("Options",
            new Option("--create", "SIZE", "make FILE with this size first (and a missing key file of random bytes, and DIR)", value => _create = value),
            new Option("--mkfs", "TYPE", "make a file system on it first (mkfs.TYPE); only on a blank FILE", value => _fileSystem = value),
            new Option("-t --types", "TYPE", "the file system's type, for mount", value => _type = value),
            new Option("-o --options", "OPTIONS", "options for mount", value => _options = value),
            _bind.ReadOnlyOption,
            _bind.OffsetOption,
            _bind.SizeLimitOption,
            _bind.PassthroughOption),
        _bind.Transfers.Group,
    ];

    internal override string Name => "mount";

    internal override string Operands => "FILE DIR";

    internal override string Summary => "mount an image through its transfers; umount DIR undoes all of it";

    internal override string Description =>
        "Bind FILE to a device, put a kernel loop device with direct I/O on it, and mount that on DIR. A plain umount DIR takes "
        + "the whole chain down. Where no daemon answers on the default socket, one is started that ends with its last device. Needs root.";

    internal override IReadOnlyList<(string What, string How)> Examples =>
    [
        ("Make an image with a key and a file system, and mount it", "loopctl mount --create 256M --mkfs ext4 -e xor --key-file key.bin disk.img /mnt/disk"),
        ("Mount it again", "loopctl mount -e xor --key-file key.bin disk.img /mnt/disk"),
        ("Look into a CD image", "loopctl mount -r -t iso9660 cd.iso /mnt/cd"),
    ];

    protected override IReadOnlyList<OptionGroup> OwnOptions { get; }

    protected override int Do(IReadOnlyList<string> operands)
    {
        string path = operands[0], directory = MountDirectory.Resolve(operands[1]);
        if (!Credentials.IsRoot)
            throw new CommandException("mount needs root, as the kernel mounts block devices for root alone: loopctl -f --show FILE gives you the device as a file");
        var made = new Stack<Action>();
        try
        {
            Prepare(path, directory, made);
            ConfigureRequest request = _bind.Request(path) with { Autoclear = true };
            Daemon daemon = Daemon;
            using ControlClient client = daemon.ConnectOrStart();
            RefuseOverlap(client, request, path);
            ConfigureReply device = _bind.Bind(client, request);
            string kernelLoop = MountDevice(client, request, device, path, directory);
            // It is mounted: from here on nothing that was made may be taken away, whatever becomes of the report.
            made.Clear();
            Report(daemon, device, kernelLoop, path, directory);
            return 0;
        }
        catch
        {
            while (made.TryPop(out Action? undo))
                undo();
            throw;
        }
    }

    /// <summary>Makes what --create promises; what was made is taken back if the command fails.</summary>
    private void Prepare(string path, string directory, Stack<Action> made)
    {
        if (File.Exists(directory))
            throw new CommandException($"{directory}: the mount point is not a directory");
        if (_create is not { } size)
        {
            if (!Directory.Exists(directory))
                throw new CommandException($"{directory}: the mount point does not exist");
            return;
        }
        ulong bytes = SizeText.Parse(size, "size");
        MountDirectory.Make(directory, made);
        Errno error = FileDescriptor.TryOpen(path, OpenFlags.ReadWrite | OpenFlags.Create | OpenFlags.Exclusive, out FileDescriptor? image, (uint)OwnerOnly);
        if (error == Errno.EEXIST)
            throw new CommandException($"{path}: exists already: leave out --create (and --mkfs) to mount it");
        if (error != Errno.None)
            throw new CommandException($"{path}: cannot be created: {error.Describe()}");
        made.Push(() => File.Delete(path));
        using (image)
            error = bytes <= long.MaxValue ? image!.SetLength((long)bytes) : Errno.EFBIG;
        if (error != Errno.None)
            throw new CommandException($"{path}: cannot be made {bytes} bytes long: {error.Describe()}");
        if (_bind.Transfers.OnlyKeyFile is { } keyFile && !File.Exists(keyFile))
        {
            using var key = new FileStream(keyFile, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerOnly });
            made.Push(() => File.Delete(keyFile));
            key.Write(RandomNumberGenerator.GetBytes(NewKeyBytes));
            _madeKey = keyFile;
        }
    }

    /// <summary>Two mounts of one file system destroy it: what is bound already is not bound a second time to be mounted. One
    /// that was unmounted this moment may still be on its way out.</summary>
    private static void RefuseOverlap(ControlClient client, ConfigureRequest request, string path)
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
        if (request.BackingFile.GetStatus(out FileStatus file) != Errno.None)
            return null;
        var fileSystem = new DeviceNumber(file.DeviceMajor, file.DeviceMinor);
        long end = request.SizeLimit > 0 ? request.Offset + request.SizeLimit : long.MaxValue;
        return client.List().FirstOrDefault(device =>
            device.BackingInode == file.Inode && device.BackingDevice == fileSystem
            && !(device.ReadOnly && request.ReadOnly)
            && device.Offset < end && (device.SizeLimit == 0 || device.Offset + device.SizeLimit > request.Offset));
    }

    private string MountDevice(ControlClient client, ConfigureRequest request, ConfigureReply device, string path, string directory)
    {
        FileDescriptor kernelDevice;
        string kernelLoop;
        try
        {
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
            if (_fileSystem is not null)
                MakeFileSystem(_fileSystem, kernelLoop, path, request);
            var arguments = new List<string>();
            if (_type is not null)
                arguments.AddRange(["-t", _type]);
            if (_options is not null)
                arguments.AddRange(["-o", _options]);
            if (device.ReadOnly)
                arguments.AddRange(["-o", "ro"]);
            ExternalProgram.RunOrFail($"{path}: cannot be mounted on {directory}", "mount", [.. arguments, "--", kernelLoop, directory]);
        }
        return kernelLoop;
    }

    /// <summary>What is on the device already is never overwritten; nor what may only seem to be noise, under a wrong key.</summary>
    private static void MakeFileSystem(string type, string kernelLoop, string path, ConfigureRequest request)
    {
        const int Holds = 0, HoldsNothing = 2, HoldsSeveral = 8;
        (int exitCode, string found) = ExternalProgram.Run("blkid", "-p", "-o", "value", "-s", "TYPE", "-s", "PTTYPE", kernelLoop);
        if (exitCode is Holds or HoldsSeveral)
            throw new CommandException($"{path}: holds {(found.Length > 0 ? found : "something")} already: leave out --mkfs to mount it");
        if (exitCode != HoldsNothing)
            throw new CommandException($"{path}: blkid cannot tell what it holds (exit code {exitCode}): {found}");
        if (!IsBlank(request.BackingFile, request.Offset))
            throw new CommandException($"{path}: is not blank, and what it holds may be a file system under another key: leave out --mkfs to mount it, or fill its first MiB with zeros");
        string[] quiet = type is "ext2" or "ext3" or "ext4" or "xfs" or "btrfs" ? ["-q"] : [];
        string program = $"mkfs.{type}";
        ExternalProgram.RunOrFail($"{path}: {program} failed", program, [.. quiet, kernelLoop]);
    }

    /// <summary>Whether the file's first MiB, where every file system has its beginnings, has never been written to.</summary>
    private static bool IsBlank(FileDescriptor file, long offset)
    {
        byte[] bytes = new byte[1 << 20];
        Errno error = file.ReadAt(offset, bytes, out int count);
        return error == Errno.None && !bytes.AsSpan(0, count).ContainsAnyExcept((byte)0);
    }

    private void Report(Daemon daemon, ConfigureReply device, string kernelLoop, string path, string directory)
    {
        MountEntry? mounted = MountTable.At(directory);
        string pipeline = string.Join(" -> ", _bind.Transfers.Names.Reverse());
        string chain = $"{path} -> {(pipeline.Length > 0 ? pipeline + " -> " : "")}{device.Path} -> {kernelLoop} -> {directory}";
        Console.Out.WriteLine($"mounted {path} on {directory} ({mounted?.Type ?? "unknown"}, {(device.ReadOnly ? "read-only" : "read-write")}, {device.Size} bytes)");
        Console.Out.WriteLine($"  chain:  {chain}");
        if (daemon.StartedProcess != 0)
            Console.Out.WriteLine($"  daemon: started for this, process {daemon.StartedProcess}, log {RuntimeDirectory.DefaultLog}; it ends with its last device");
        if (_madeKey is not null)
            Console.Out.WriteLine($"  key:    made {_madeKey} ({NewKeyBytes} random bytes); without it the image cannot be read");
        Console.Out.WriteLine($"  undo:   umount {directory}");
        Failure.Warn(path, device.Warnings);
    }
}
