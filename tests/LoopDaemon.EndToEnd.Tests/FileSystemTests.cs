using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>Whole file systems on devices. What is compared was read after the daemon has ended and another has begun: no
/// cache of the first can hide what it never wrote.</summary>
public sealed class FileSystemTests
{
    private const long Large = 220L << 20;
    private const long Small = 30L << 20;

    [Fact]
    public void A_large_tree_on_ext4_mounted_by_loopctl_survives_a_daemon_restart()
    {
        Requirements.SkipUnlessInstalled("e2fsck");
        CheckTreeSurvives("ext4", "700M", Large, device => Shell.Run("e2fsck", "-fn", device).Succeeded());
    }

    [Fact]
    public void A_tree_on_xfs_survives_a_daemon_restart()
    {
        Requirements.SkipUnlessInstalled("xfs_repair");
        CheckTreeSurvives("xfs", "320M", Small, device => Shell.Run("xfs_repair", "-n", "-f", device).Succeeded());
    }

    [Fact]
    public void A_tree_on_btrfs_survives_a_daemon_restart()
    {
        Requirements.SkipUnlessInstalled("btrfs");
        CheckTreeSurvives("btrfs", "256M", Small, device => Shell.Run("btrfs", "check", "--readonly", device).Succeeded());
    }

    [Fact]
    public void A_large_tree_on_ext4_mounted_by_mount_survives_a_daemon_restart()
    {
        Requirements.SkipUnlessKernelLoop();
        Requirements.SkipUnlessInstalled("mkfs.ext4", "e2fsck");
        using var loopd = new Loopd();
        using var directory = new MountDirectory(loopd);
        var tree = new FileTree(loopd, Large);
        TransferStack stack = TransferStack.Make(loopd, "xor");
        string image = loopd.MakeSparseFile("disk.img", 700 << 20);

        string device = loopd.Bind([.. stack.Arguments, image]);
        Shell.Run("mkfs.ext4", "-q", device).Succeeded();
        Shell.Run("mount", "-o", "loop", device, directory.Path).Succeeded();
        tree.CopyTo(directory.Path);
        directory.Unmount();
        Assert.Equal(0, loopd.Stop());
        loopd.StartAgain();
        device = loopd.Bind([.. stack.Arguments, image]);
        Shell.Run("mount", "-o", "loop", device, directory.Path).Succeeded();
        tree.AssertIsIn(directory.Path);
        directory.Unmount();
        Shell.Run("e2fsck", "-fn", device).Succeeded();
    }

    [Fact]
    public void A_read_only_squashfs_image_is_mounted()
    {
        Requirements.SkipUnlessKernelLoop();
        Requirements.SkipUnlessFileSystem("squashfs");
        Requirements.SkipUnlessInstalled("mksquashfs");
        using var loopd = new Loopd();
        using var directory = new MountDirectory(loopd);
        var tree = new FileTree(loopd, Small);
        TransferStack stack = TransferStack.Make(loopd, "xor");
        tree.CopyTo(Directory.CreateDirectory(loopd.File("tree")).FullName);
        Shell.Run("mksquashfs", loopd.File("tree"), loopd.File("plain"), "-quiet", "-no-progress").Succeeded();
        byte[] stored = stack.Encode(File.ReadAllBytes(loopd.File("plain")));
        string image = loopd.MakeFile("disk.img", stored);

        string device = loopd.Bind(["-r", .. stack.Arguments, image]);
        Shell.Run("mount", "-o", "loop,ro", device, directory.Path).Succeeded();
        tree.AssertIsIn(directory.Path);
        directory.Unmount();
        Assert.Equal(Errno.EROFS, FileDescriptor.TryOpen(device, OpenFlags.ReadWrite, out _));
        loopd.Control("-d", device).Succeeded();

        loopd.Control(["mount", "-r", .. stack.Arguments, image, directory.Path]).Succeeded();
        tree.AssertIsIn(directory.Path);
        loopd.Control("umount", directory.Path).Succeeded();
        Assert.Equal(0, loopd.Stop());
        Assert.Equal(stored, File.ReadAllBytes(image));
    }

    [Fact]
    public void An_iso_image_is_listed_and_extracted()
    {
        Requirements.SkipUnlessInstalled("isoinfo");
        using var loopd = new Loopd();
        string device = BindIso(loopd, out byte[] contents);
        Assert.Contains("DATA.BIN", Shell.Run("isoinfo", "-l", "-i", device).Succeeded().Output, StringComparison.Ordinal);
        Shell.Bash($"isoinfo -i '{device}' -x '/DIR/DATA.BIN;1' > '{loopd.File("extracted")}'");
        Assert.Equal(contents, File.ReadAllBytes(loopd.File("extracted")));
    }

    [Fact]
    public void An_iso_image_is_mounted()
    {
        Requirements.SkipUnlessKernelLoop();
        Requirements.SkipUnlessFileSystem("iso9660");
        using var loopd = new Loopd();
        using var directory = new MountDirectory(loopd);
        string device = BindIso(loopd, out byte[] contents);
        Shell.Run("mount", "-o", "loop,ro", device, directory.Path).Succeeded();
        string file = Directory.GetFiles(directory.Path, "*", SearchOption.AllDirectories).Single();
        Assert.Equal(contents, File.ReadAllBytes(file));
        directory.Unmount();
    }

    [Fact]
    public void Debugfs_lists_an_unmounted_ext4_device()
    {
        Requirements.SkipUnlessInstalled("mkfs.ext4", "debugfs");
        using var loopd = new Loopd();
        byte[] contents = File.ReadAllBytes(loopd.MakeFile("data", 300_000));
        string device = loopd.Bind([.. TransferStack.Make(loopd, "xor").Arguments, loopd.MakeSparseFile("disk.img", 16 << 20)]);
        Shell.Run("mkfs.ext4", "-q", device).Succeeded();
        Shell.Run("debugfs", "-w", "-R", $"write {loopd.File("data")} hello.bin", device).Succeeded();

        string listing = Shell.Run("debugfs", "-R", "ls -l /", device).Succeeded().Output;
        Assert.Matches(@"300000 .* hello\.bin", listing);
        Assert.Contains("lost+found", listing, StringComparison.Ordinal);
        Shell.Run("debugfs", "-R", $"dump hello.bin {loopd.File("dumped")}", device).Succeeded();
        Assert.Equal(contents, File.ReadAllBytes(loopd.File("dumped")));
    }

    private static void CheckTreeSurvives(string type, string size, long treeBytes, Action<string> checkFileSystem)
    {
        Requirements.SkipUnlessKernelLoop();
        Requirements.SkipUnlessFileSystem(type);
        Requirements.SkipUnlessInstalled($"mkfs.{type}");
        using var loopd = new Loopd();
        using var directory = new MountDirectory(loopd);
        var tree = new FileTree(loopd, treeBytes);
        string image = loopd.File("disk.img"), key = loopd.MakeFile("key", TransferStack.Key(32));

        loopd.Control("mount", "--create", size, "--mkfs", type, "-e", "xor", "--key-file", key, image, directory.Path).Succeeded();
        tree.CopyTo(directory.Path);
        loopd.Control("umount", directory.Path).Succeeded();
        Assert.Equal(0, loopd.Stop());
        loopd.StartAgain();
        loopd.Control("mount", "-e", "xor", "--key-file", key, image, directory.Path).Succeeded();
        tree.AssertIsIn(directory.Path);
        loopd.Control("umount", directory.Path).Succeeded();
        checkFileSystem(loopd.Bind("-e", "xor", "--key-file", key, image));
    }

    /// <summary>An image with one file, as XOR leaves it, and the device that shows it.</summary>
    private static string BindIso(Loopd loopd, out byte[] contents)
    {
        Requirements.SkipUnlessInstalled("xorriso");
        TransferStack stack = TransferStack.Make(loopd, "xor");
        Directory.CreateDirectory(loopd.File("tree/DIR"));
        contents = File.ReadAllBytes(loopd.MakeFile("tree/DIR/DATA.BIN", 3_000_001));
        Shell.Run("xorriso", "-as", "mkisofs", "-quiet", "-o", loopd.File("plain"), loopd.File("tree")).Succeeded();
        string image = loopd.MakeFile("disk.iso", stack.Encode(File.ReadAllBytes(loopd.File("plain"))));
        return loopd.Bind(["-r", .. stack.Arguments, image]);
    }
}
