using System.Security.Cryptography;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary><c>loopctl mount FILE DIR</c>: mounts an image, and before that makes what of it is wanted and missing.</summary>
internal sealed class MountVerb : Verb
{
    private const int NewKeyBytes = 32;
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
            Daemon daemon = Daemon;
            var mount = new ImageMount(daemon, _bind, path, directory)
            {
                Arguments = [.. _type is null ? [] : new[] { "-t", _type }, .. _options is null ? [] : new[] { "-o", _options }],
                Prepare = (kernelLoop, request) => MakeFileSystem(kernelLoop, path, request),
            };
            (ConfigureReply device, string kernelLoop) = mount.Run()!.Value;
            // It is mounted: from here on nothing that was made may be taken away, whatever becomes of the report.
            made.Clear();
            Report(daemon, device, $"{path} -> {mount.Pipeline}{device.Path} -> {kernelLoop} -> {directory}", path, directory);
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
        if (_create is null || File.Exists(directory))
            ImageMount.CheckDirectory(directory);
        if (_create is not { } size)
            return;
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

    /// <summary>What is on the device already is never overwritten; nor what may only seem to be noise, under a wrong key.</summary>
    private void MakeFileSystem(string kernelLoop, string path, ConfigureRequest request)
    {
        if (_fileSystem is not { } type)
            return;
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

    private void Report(Daemon daemon, ConfigureReply device, string chain, string path, string directory)
    {
        MountEntry? mounted = MountTable.At(directory);
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
