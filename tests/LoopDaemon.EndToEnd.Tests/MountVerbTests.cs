using System.Security.Cryptography;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary><c>loopctl mount</c> and <c>umount</c>: the whole chain up and down, and nothing left of what fails.</summary>
public sealed class MountVerbTests : IClassFixture<SharedLoopd>, IDisposable
{
    private const string DefaultSocket = "/run/loopd/control", DefaultMount = "/run/loopd/dev";
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly Loopd _loopd;
    private readonly string _place, _image, _key, _directory;

    public MountVerbTests(SharedLoopd shared)
    {
        Requirements.SkipUnlessRootWithFuse();
        Requirements.SkipUnlessKernelLoop();
        Requirements.SkipUnlessInstalled("mkfs.ext4", "blkid", "losetup");
        Requirements.SkipUnlessFileSystem("ext4");
        _loopd = shared.Fresh();
        _place = _loopd.File(Path.GetRandomFileName());
        Directory.CreateDirectory(_place);
        (_image, _key, _directory) = (In("disk.img"), In("disk.key"), In("mnt"));
    }

    public void Dispose()
    {
        foreach (MountEntry left in MountTable.Read().Where(mount => mount.MountPoint.StartsWith(_place, StringComparison.Ordinal)).Reverse())
            MountTable.Unmount(left.MountPoint, detach: true);
        Directory.Delete(_place, recursive: true);
    }

    [Fact]
    public void One_command_makes_everything_and_a_plain_umount_takes_it_down()
    {
        SkipUnlessDefaultIsFree();
        ShellResult mounted = Loopctl("mount", _image, _directory, "-e", "xor", "--key-file", _key, "--create", "16M", "--mkfs", "ext4").Succeeded();
        Assert.StartsWith($"mounted {_image} on {_directory} (ext4, read-write, 16777216 bytes)\n", mounted.Output, StringComparison.Ordinal);
        Assert.Contains($"{_image} -> xor -> {DefaultMount}/loop0 -> /dev/loop", mounted.Output, StringComparison.Ordinal);
        Assert.Contains("daemon: started for this, process ", mounted.Output, StringComparison.Ordinal);
        Assert.Contains($"key:    made {_key} (32 random bytes)", mounted.Output, StringComparison.Ordinal);
        Assert.Equal("", mounted.Error);
        Assert.Equal((32, OwnerOnly), (new FileInfo(_key).Length, File.GetUnixFileMode(_key)));
        Assert.Equal((16 << 20, OwnerOnly), (new FileInfo(_image).Length, File.GetUnixFileMode(_image)));

        MountEntry mount = MountTable.At(_directory)!;
        Assert.Equal("ext4", mount.Type);
        Assert.Matches($@"^{mount.Source} +1 +1 +0 {DefaultMount}/loop0\n$",
            Shell.Run("losetup", "-n", "-O", "NAME,AUTOCLEAR,DIO,RO,BACK-FILE", mount.Source).Succeeded().Output);
        File.WriteAllText(Path.Combine(_directory, "hello"), "hello, world");

        Shell.Run("umount", _directory).Succeeded();
        AssertDefaultIsGone(mount.Source);
        // Without its key the image is noise.
        Assert.Equal(2, Shell.Run("blkid", "-p", _image).ExitCode);

        Assert.DoesNotContain("made", Loopctl("mount", _image, _directory, "-e", "xor", "--key-file", _key).Succeeded().Output, StringComparison.Ordinal);
        Assert.Equal("hello, world", File.ReadAllText(Path.Combine(_directory, "hello")));
        Loopctl("umount", _directory).Succeeded();
        Assert.Null(MountTable.At(_directory));
        Assert.DoesNotContain(KernelLoop.List(), loop => loop.BackingFile.StartsWith(DefaultMount, StringComparison.Ordinal));
        AssertDefaultIsGone(mount.Source);
    }

    [Fact]
    public void Two_mounts_share_a_daemon_that_stays_until_the_second_is_gone()
    {
        SkipUnlessDefaultIsFree();
        string first = In("first"), second = In("second");
        Assert.Contains("daemon: started", Loopctl("mount", In("1.img"), first, "--create", "16M", "--mkfs", "ext4").Succeeded().Output, StringComparison.Ordinal);
        Assert.DoesNotContain("daemon: started", Loopctl("mount", In("2.img"), second, "--create", "16M", "--mkfs", "ext4").Succeeded().Output, StringComparison.Ordinal);
        Assert.Equal(2, Bound(DefaultSocket).Count);
        string source = MountTable.At(second)!.Source;

        Loopctl("umount", first).Succeeded();
        // Longer than an idle daemon stays.
        Thread.Sleep(1000);
        Assert.Equal([In("2.img")], Bound(DefaultSocket).Select(device => device.BackingFile));
        File.WriteAllText(Path.Combine(second, "hello"), "hello, world");
        Shell.Run("sync", "-f", second).Succeeded();
        Shell.Run("umount", second).Succeeded();
        AssertDefaultIsGone(source);
    }

    [Fact]
    public void Umount_waits_until_the_chain_is_gone()
    {
        MakeFileSystem();
        for (int round = 0; round < 5; round++)
        {
            Mount(_image, _directory).Succeeded();
            Control("umount", _directory).Succeeded();
            Assert.Null(MountTable.At(_directory));
            Assert.DoesNotContain(KernelLoop.List(), loop => loop.BackingFile.StartsWith(_loopd.Mount, StringComparison.Ordinal));
            Assert.Empty(_loopd.List());
        }
    }

    [Fact]
    public void A_directory_is_known_with_a_slash_at_its_end_and_through_a_symbolic_link()
    {
        MakeFileSystem();
        string link = In("link");
        File.CreateSymbolicLink(link, _directory);
        Assert.Contains("(ext4, read-write, ", Mount(_image, _directory + "/").Succeeded().Output, StringComparison.Ordinal);
        Control("umount", _directory + "/").Succeeded();
        Assert.Contains("(ext4, read-write, ", Mount(_image, link).Succeeded().Output, StringComparison.Ordinal);
        Control("umount", link).Succeeded();
        Assert.Null(MountTable.At(_directory));
        Assert.Empty(_loopd.List());
    }

    [Fact]
    public void Paths_with_spaces_and_letters_of_all_kinds()
    {
        string image = In("meine Größe ☃.img"), key = In("mein Schlüssel"), directory = In("ein Ort\\mit \t allem ☃");
        Mount(image, directory, "-e", "xor", "--key-file", key, "--create", "16M", "--mkfs", "ext4").Succeeded();
        Assert.Equal("ext4", MountTable.At(directory)?.Type);
        Assert.Equal(image, Assert.Single(_loopd.List()).BackingFile);
        Control("umount", directory).Succeeded();
        Assert.Empty(_loopd.List());
    }

    [Fact]
    public void A_read_only_mount_changes_nothing()
    {
        MakeFileSystem();
        byte[] before = SHA256.HashData(File.ReadAllBytes(_image));
        Assert.Contains("(ext4, read-only, ", Mount(_image, _directory, "-r").Succeeded().Output, StringComparison.Ordinal);
        Assert.Contains("Read-only file system", Shell.Run("touch", Path.Combine(_directory, "x")).Error, StringComparison.Ordinal);
        Assert.Matches(@"^ *1 +1\n$", Shell.Run("losetup", "-n", "-O", "RO,DIO", MountTable.At(_directory)!.Source).Succeeded().Output);
        Assert.True(Assert.Single(_loopd.List()).ReadOnly);
        Control("umount", _directory).Succeeded();
        Assert.Equal(before, SHA256.HashData(File.ReadAllBytes(_image)));
    }

    /// <summary>What is mounted is mounted, and its image and key are not taken away, even if nobody can be told.</summary>
    [Fact]
    public void A_full_standard_output_takes_nothing_back()
    {
        ShellResult result = Shell.Run("bash", "-c",
            $"exec '{Loopd.ControlProgram}' --control '{_loopd.Socket}' mount '{_image}' '{_directory}' -e xor --key-file '{_key}' --create 16M --mkfs ext4 > /dev/full");
        result.Refused("No space left on device");
        Assert.Equal("ext4", MountTable.At(_directory)?.Type);
        Assert.True(File.Exists(_image));
        Assert.True(File.Exists(_key));
        Control("umount", _directory).Succeeded();
    }

    [Fact]
    public void A_mkfs_that_is_not_installed() =>
        Fails([_image, _directory, "--create", "16M", "--mkfs", "nosuchfs"], "cannot run mkfs.nosuchfs: No such file or directory");

    [Fact]
    public void A_mkfs_that_fails() =>
        Fails([_image, _directory, "--create", "8K", "--mkfs", "ext4"], _image, "mkfs.ext4");

    [Fact]
    public void An_image_without_a_file_system()
    {
        _loopd.MakeFile(Path.Combine(_place, "disk.img"), 1 << 20);
        Directory.CreateDirectory(_directory);
        Fails([_image, _directory], $"{_image}: cannot be mounted on {_directory}: ", "wrong fs type");
    }

    [Fact]
    public void A_wrong_key()
    {
        string other = _loopd.MakeFile(Path.Combine(_place, "other.key"), 32);
        Mount(_image, _directory, "-e", "xor", "--key-file", _key, "--create", "16M", "--mkfs", "ext4").Succeeded();
        Control("umount", _directory).Succeeded();
        Fails([_image, _directory, "-e", "xor", "--key-file", other], $"{_image}: cannot be mounted on {_directory}: ");
        Fails([_image, _directory, "-e", "xor", "--key-file", In("missing.key")], In("missing.key"), "No such file or directory");
        Fails([_image, _directory, "-e", "xor"], "transfer xor needs a key");
    }

    [Fact]
    public void An_existing_image_is_not_made_anew()
    {
        MakeFileSystem();
        Fails([_image, In("new"), "--create", "16M", "--mkfs", "ext4", "-e", "xor", "--key-file", _key], $"{_image}: exists already", "--create");
    }

    [Fact]
    public void A_file_system_is_not_made_over_another()
    {
        MakeFileSystem();
        Fails([_image, _directory, "--mkfs", "ext4"], $"{_image}: holds ext4 already", "--mkfs");
    }

    /// <summary>Under the wrong key the old file system is noise, on a device that seems to hold nothing.</summary>
    [Fact]
    public void A_file_system_is_not_made_over_one_under_another_key()
    {
        string other = _loopd.MakeFile(Path.Combine(_place, "other.key"), 32);
        Mount(_image, _directory, "-e", "xor", "--key-file", _key, "--create", "16M", "--mkfs", "ext4").Succeeded();
        Control("umount", _directory).Succeeded();
        Fails([_image, _directory, "-e", "xor", "--key-file", other, "--mkfs", "ext4"], $"{_image}: is not blank", "another key");
        Fails([_image, _directory, "--mkfs", "ext4"], $"{_image}: is not blank");
    }

    [Fact]
    public void A_file_system_is_not_made_over_a_partition_table()
    {
        Directory.CreateDirectory(_directory);
        byte[] disk = new byte[16 << 20];
        // One partition of Linux (0x83), 2048 sectors from sector 2048 on, and the signature of an MBR.
        new byte[] { 0, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0 }.CopyTo(disk, 446);
        (disk[510], disk[511]) = (0x55, 0xAA);
        File.WriteAllBytes(_image, disk);
        Fails([_image, _directory, "--mkfs", "ext4"], $"{_image}: holds dos already", "--mkfs");
    }

    [Fact]
    public void A_blank_image_gets_its_file_system_without_create()
    {
        Directory.CreateDirectory(_directory);
        Shell.Bash($"truncate -s 16M '{_image}'");
        Mount(_image, _directory, "--mkfs", "ext4").Succeeded();
        Control("umount", _directory).Succeeded();
    }

    /// <summary>Two mounted copies of one file system overwrite each other.</summary>
    [Fact]
    public void An_image_is_not_mounted_twice_at_a_time()
    {
        string[] mount = ["mount", "-e", "xor", "--key-file", _key, _image];
        _loopd.Control([.. mount, _directory, "--create", "16M", "--mkfs", "ext4"]).Succeeded();
        string second = In("second");
        Directory.CreateDirectory(second);
        _loopd.Control([.. mount, second]).Refused($"{_image}: is bound to {_loopd.Device(0)} already");
        Assert.Single(_loopd.List());

        // But again at once after it is unmounted, when its devices may still be on their way out.
        for (int round = 0; round < 5; round++)
        {
            Shell.Run("umount", _directory).Succeeded();
            _loopd.Control([.. mount, _directory]).Succeeded();
        }
        _loopd.Control("umount", _directory).Succeeded();

        // Read-only it does no harm.
        _loopd.Control([.. mount, "-r", _directory]).Succeeded();
        _loopd.Control([.. mount, "-r", second]).Succeeded();
        _loopd.Control("umount", second).Succeeded();
        _loopd.Control("umount", _directory).Succeeded();
    }

    [Fact]
    public void A_missing_mount_point()
    {
        MakeFileSystem();
        Fails([_image, In("missing")], $"{In("missing")}: the mount point does not exist");
        Fails([_image, _image], $"{_image}: the mount point is not a directory");
        Fails([In("new.img"), _image, "--create", "16M"], $"{_image}: the mount point is not a directory");
    }

    [Fact]
    public void Directories_that_were_made_on_the_way_are_taken_back_too() =>
        Fails([_image, In("a/b/c"), "--create", "1M"], $"{_image}: cannot be mounted on {In("a/b/c")}: ");

    [Fact]
    public void What_cannot_be_made()
    {
        Fails([In("no/disk.img"), _directory, "--create", "1M"], $"{In("no/disk.img")}: cannot be created: No such file or directory");
        Fails([_image, _directory, "--create", "7E"], $"{_image}: cannot be made ", "File too large");
        Fails([_image, _directory, "--create", "much"], "failed to parse size: 'much'");
        Fails([_image, _directory, "--create", "1M", "-e", "xor", "--key-file", In("no/disk.key")], In("no/disk.key"));
        Fails([_image, _directory, "--create", "1M", "-e", "xro", "--key-file", _key], "did you mean xor?");
        Fails([_image, _directory, "--create", "1M", "--offset", "2M"], $"{_image}: has nothing to mount at offset 2097152");
    }

    [Fact]
    public void What_cannot_be_mounted()
    {
        MakeFileSystem();
        Fails([In("missing.img"), _directory], $"{In("missing.img")}: ", "No such file or directory");
        Fails([_directory, _directory], _directory, "Is a directory");
        Fails([_image, _directory, "-o", "nosuchoption"], _image, _directory);
        Fails([_image, _directory, "--offset", "ten"], "failed to parse offset: 'ten'");
    }

    [Fact]
    public void Without_a_daemon_on_the_chosen_socket_nothing_is_left()
    {
        string[] before = Contents();
        Shell.Run(Loopd.ControlProgram, "--control", In("nobody"), "mount", _image, _directory, "--create", "1M", "-e", "xor", "--key-file", _key)
            .Refused($"no daemon answers on {In("nobody")}");
        Assert.Equal(before, Contents());
    }

    [Fact]
    public void Another_user_is_told_that_it_takes_root()
    {
        AnotherUser.SkipUnlessPossible();
        string[] before = Contents();
        AnotherUser.Run(Loopd.ControlProgram, "mount", _image, _directory, "--create", "1M").Refused("mount needs root");
        Assert.Equal(before, Contents());
    }

    [Fact]
    public void What_is_not_mounted_cannot_be_unmounted()
    {
        Directory.CreateDirectory(_directory);
        Control("umount", _directory).Refused($"{_directory}: not mounted");
        Control("umount", In("missing")).Refused($"{In("missing")}: not mounted");
    }

    [Fact]
    public void What_others_mounted_is_left_to_umount()
    {
        Directory.CreateDirectory(_directory);
        Shell.Run("mount", "-t", "tmpfs", "none", _directory).Succeeded();
        Control("umount", _directory).Refused($"{_directory}: is not mounted from a device of loopd");
        Assert.NotNull(MountTable.At(_directory));
        Shell.Run("umount", _directory).Succeeded();
    }

    [Fact]
    public void What_is_in_use_cannot_be_unmounted_and_stays()
    {
        MakeFileSystem();
        Mount(_image, _directory).Succeeded();
        string path = Path.Combine(_directory, "hello");
        using (FileDescriptor.Open(path, OpenFlags.ReadWrite | OpenFlags.Create, 0b110_000_000))
            Control("umount", _directory).Refused(_directory, "busy");
        Assert.True(File.Exists(path));
        Control("umount", _directory).Succeeded();
    }

    private static ShellResult Loopctl(params string[] arguments) => Shell.Run(Loopd.ControlProgram, arguments);

    private static void SkipUnlessDefaultIsFree() => Assert.SkipWhen(File.Exists(DefaultSocket), "a daemon runs on the default socket");

    private static IReadOnlyList<DeviceStatus> Bound(string socket)
    {
        using var client = ControlClient.Connect(socket);
        return client.List();
    }

    /// <summary>Kernel loop device, our device and the daemon that was started for them.</summary>
    private static void AssertDefaultIsGone(string kernelLoop)
    {
        Loopd.WaitUntil(() => !KernelLoop.List().Any(loop => loop.Path == kernelLoop && loop.BackingFile.StartsWith(DefaultMount, StringComparison.Ordinal)), "the kernel's device goes");
        Loopd.WaitUntil(() => !File.Exists(DefaultSocket) && !File.Exists(DefaultSocket + ".lock") && !Directory.Exists(DefaultMount), "the daemon goes");
        Assert.Null(MountTable.At(DefaultMount));
    }

    private string In(string name) => Path.Combine(_place, name);

    private ShellResult Control(params string[] arguments) => _loopd.Control(arguments);

    private ShellResult Mount(params string[] arguments) => _loopd.Control(["mount", .. arguments]);

    private void MakeFileSystem()
    {
        Directory.CreateDirectory(_directory);
        Shell.Bash($"truncate -s 16M '{_image}' && mkfs.ext4 -q '{_image}'");
    }

    /// <summary>A mount that must fail, and leave every file and directory, byte for byte, and all devices as they were.</summary>
    private void Fails(string[] arguments, params string[] parts)
    {
        string[] before = Contents();
        Mount(arguments).Refused(parts);
        Assert.Equal(before, Contents());
        Assert.DoesNotContain(MountTable.Read(), mount => mount.MountPoint.StartsWith(_place, StringComparison.Ordinal));
        Loopd.WaitUntil(() => _loopd.List().Count == 0, "the device goes");
        Loopd.WaitUntil(() => !KernelLoop.List().Any(loop => loop.BackingFile.StartsWith(_loopd.Mount, StringComparison.Ordinal)), "the kernel's device goes");
    }

    private string[] Contents() =>
        [.. Directory.EnumerateFileSystemEntries(_place, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
            .Select(path => File.Exists(path) ? $"{path} {Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(path)))}" : path)];
}
