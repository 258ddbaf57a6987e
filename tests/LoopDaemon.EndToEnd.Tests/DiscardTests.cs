using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>Space that a file system gives back, and holes: what the backing file has of them and what a key hides.</summary>
public sealed class DiscardTests
{
    private const int MiB = 1 << 20;

    [Fact]
    public void Fstrim_on_identity_gives_blocks_back_and_keeps_the_rest() => CheckFstrim("identity");

    [Fact]
    public void Fstrim_under_xor_with_discards_gives_blocks_back_and_keeps_the_rest() => CheckFstrim("xor with discards");

    [Fact]
    public void Fstrim_under_a_key_is_refused_and_changes_nothing()
    {
        SkipUnlessFstrim();
        using var loopd = new Loopd();
        using var directory = new MountDirectory(loopd);
        TransferStack stack = TransferStack.Make(loopd, "xor");
        string image = loopd.File("disk.img");
        loopd.Control(["mount", "--create", "64M", "--mkfs", "ext4", .. stack.Arguments, image, directory.Path]).Succeeded();
        Shell.Bash($"head -c 20M /dev/urandom > '{directory.Path}/data' && sync -f '{directory.Path}' && rm '{directory.Path}/data' && sync -f '{directory.Path}'");
        long before = Allocated(image);
        ShellResult trim = Shell.Run("fstrim", directory.Path);
        Assert.NotEqual(0, trim.ExitCode);
        Assert.Contains("not support", trim.Error, StringComparison.Ordinal);
        Assert.Equal(before, Allocated(image));
        loopd.Control("umount", directory.Path).Succeeded();
    }

    [Theory]
    [InlineData("identity")]
    [InlineData("xor with discards")]
    public void A_hole_punched_into_a_device_is_one_in_the_file(string stackName)
    {
        using var loopd = new Loopd();
        TransferStack stack = TransferStack.Make(loopd, stackName);
        byte[] model = File.ReadAllBytes(loopd.MakeFile("plain", 4 * MiB));
        string image = loopd.MakeFile("disk.img", stack.Encode(model));
        string device = loopd.Bind([.. stack.Arguments, image]);
        Shell.Bash($"sync '{image}'");
        long before = Allocated(image);

        Shell.Run("fallocate", "-p", "-o", "1MiB", "-l", "1MiB", device).Succeeded();
        // From the middle of a sector to the middle of another.
        Shell.Run("fallocate", "-p", "-o", "3000100", "-l", "70000", device).Succeeded();
        model.AsSpan(MiB, MiB).Clear();
        model.AsSpan(3_000_100, 70_000).Clear();
        Assert.Equal(model, File.ReadAllBytes(device));
        Assert.InRange(before - Allocated(image), MiB + (60 << 10), MiB + 70_000);
        Assert.Equal(model, stack.Decode(File.ReadAllBytes(image)));

        // Another daemon, bound the same way, shows the same.
        Assert.Equal(0, loopd.Stop());
        loopd.StartAgain();
        Assert.Equal(model, File.ReadAllBytes(loopd.Bind([.. stack.Arguments, image])));
    }

    [Fact]
    public void Under_a_key_holes_cannot_be_punched_and_zeros_are_encoded()
    {
        using var loopd = new Loopd();
        TransferStack stack = TransferStack.Make(loopd, "xor");
        byte[] model = File.ReadAllBytes(loopd.MakeFile("plain", 4 * MiB));
        string image = loopd.MakeFile("disk.img", stack.Encode(model));
        string device = loopd.Bind([.. stack.Arguments, image]);

        Assert.NotEqual(0, Shell.Run("fallocate", "-p", "-o", "1MiB", "-l", "1MiB", device).ExitCode);
        using (FileDescriptor file = FileDescriptor.Open(device, OpenFlags.ReadWrite))
            Assert.Equal(Errno.EOPNOTSUPP, file.Allocate(AllocateMode.PunchHole | AllocateMode.KeepSize, MiB, MiB));
        Assert.Equal(model, File.ReadAllBytes(device));

        // The second reaches over more than one request's buffer and begins and ends within sectors.
        Shell.Run("fallocate", "-z", "-o", "512", "-l", "4096", device).Succeeded();
        Shell.Run("fallocate", "-z", "-o", "1000001", "-l", "2500000", device).Succeeded();
        model.AsSpan(512, 4096).Clear();
        model.AsSpan(1_000_001, 2_500_000).Clear();
        Assert.Equal(model, File.ReadAllBytes(device));
        byte[] stored = File.ReadAllBytes(image);
        Assert.Equal(stack.Encode(model), stored);
        Assert.True(stored.AsSpan(MiB, 512).ContainsAnyExcept((byte)0));
    }

    [Fact]
    public void Holes_of_the_file_are_holes_of_an_identity_device()
    {
        const int Length = 8 * MiB;
        using var loopd = new Loopd();
        string image = loopd.MakeSparseFile("disk.img", Length);
        byte[] model = new byte[Length];
        using (FileDescriptor file = FileDescriptor.Open(image, OpenFlags.ReadWrite))
        {
            foreach ((int offset, int length) in new[] { (64 << 10, 4096), (MiB, 300_000), (5 * MiB, MiB) })
            {
                new Random(offset).NextBytes(model.AsSpan(offset, length));
                Assert.Equal(Errno.None, file.WriteAt(offset, model.AsSpan(offset, length)));
            }
            Assert.Equal(Errno.None, file.Synchronize(dataOnly: false));
        }
        string device = loopd.Bind(image);
        List<long> expected = Extents(image);
        Assert.Equal(6, expected.Count);
        Assert.Equal(expected, Extents(device));
        Assert.Equal(model, File.ReadAllBytes(device));

        using FileDescriptor open = FileDescriptor.Open(device, OpenFlags.ReadOnly);
        Assert.Equal(Errno.ENXIO, open.Seek(SeekTarget.Data, 7 * MiB, out _));
        Assert.Equal(Errno.ENXIO, open.Seek(SeekTarget.Hole, Length, out _));
        Assert.Equal(Errno.None, open.Seek(SeekTarget.Hole, 7 * MiB + 5, out long hole));
        Assert.Equal(7 * MiB + 5, hole);
    }

    private static void CheckFstrim(string stackName)
    {
        SkipUnlessFstrim();
        Requirements.SkipUnlessInstalled("e2fsck");
        using var loopd = new Loopd();
        using var directory = new MountDirectory(loopd);
        TransferStack stack = TransferStack.Make(loopd, stackName);
        string image = loopd.File("disk.img");
        loopd.Control(["mount", "--create", "200M", "--mkfs", "ext4", .. stack.Arguments, image, directory.Path]).Succeeded();
        // Two files that lie among each other, so that what is given back lies between what is kept.
        Shell.Bash($"cd '{directory.Path}' && for i in $(seq 50); do head -c 1M /dev/urandom >> kept; head -c 1M /dev/urandom >> gone; sync -f .; done");
        string sum = Sum(directory);
        long filled = Allocated(image);
        Assert.True(filled > 100 * MiB, $"{filled} bytes");
        Shell.Bash($"rm '{directory.Path}/gone' && sync -f '{directory.Path}' && fstrim '{directory.Path}'");
        // Metadata may come and go besides.
        Assert.InRange(filled - Allocated(image), 48 * MiB, 52 * MiB);
        Assert.Equal(sum, Sum(directory));
        loopd.Control("umount", directory.Path).Succeeded();
        Assert.Equal(0, loopd.Stop());

        loopd.StartAgain();
        loopd.Control(["mount", .. stack.Arguments, image, directory.Path]).Succeeded();
        Assert.Equal(sum, Sum(directory));
        loopd.Control("umount", directory.Path).Succeeded();
        Shell.Run("e2fsck", "-fn", loopd.Bind([.. stack.Arguments, image])).Succeeded();
    }

    private static string Sum(MountDirectory directory) => Shell.Bash($"cd '{directory.Path}' && sha256sum kept");

    private static void SkipUnlessFstrim()
    {
        Requirements.SkipUnlessKernelLoop();
        Requirements.SkipUnlessInstalled("fstrim", "mkfs.ext4");
    }

    private static long Allocated(string path)
    {
        Assert.Equal(Errno.None, FileStatus.Of(path, out FileStatus status));
        return status.AllocatedBytes;
    }

    /// <summary>Where data and holes begin in turn, data first.</summary>
    private static List<long> Extents(string path)
    {
        var extents = new List<long>();
        using FileDescriptor file = FileDescriptor.Open(path, OpenFlags.ReadOnly);
        long at = 0;
        while (file.Seek(SeekTarget.Data, at, out long data) == Errno.None)
        {
            Assert.Equal(Errno.None, file.Seek(SeekTarget.Hole, data, out at));
            extents.AddRange([data, at]);
        }
        return extents;
    }
}
