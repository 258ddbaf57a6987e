using System.Diagnostics;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>The whole daemon over io_uring, and where that cannot be had.</summary>
public sealed class UringEngineTests : IClassFixture<IoUringSwitch>
{
    private const int Size = 1 << 20;
    private const string Sysctl = "/proc/sys/kernel/io_uring_disabled";

    private static readonly string[] Engine = ["--engine", "uring"];

    public UringEngineTests(IoUringSwitch ioUring)
    {
        Requirements.SkipUnlessRootWithFuse();
        Assert.SkipUnless(ioUring.IsHere, "needs a kernel with FUSE over io_uring (Linux 6.14)");
        Assert.SkipUnless(!File.Exists(Sysctl) || File.ReadAllText(Sysctl).Trim() is "0" or "1", "needs io_uring allowed");
        // Again before each test, since others on this machine may turn it too.
        IoUringSwitch.Set(on: true);
    }

    [Theory]
    [InlineData("--ioengine=io_uring --direct=1 --iodepth=16 --rw=randwrite --bssplit=512/30:4k/40:20k/20:256k/7:1m/3")]
    [InlineData("--ioengine=psync --rw=write --bsrange=512-1m --bs_unaligned=1")]
    public void Writes_through_a_transfer_read_back_right(string options)
    {
        const int Jobs = 4;
        const long BytesPerJob = 64 << 20;
        Requirements.SkipUnlessInstalled("fio");
        using var loopd = new Loopd(Engine);
        TransferStack stack = TransferStack.Make(loopd, "xor");
        string device = loopd.Bind([.. stack.Arguments, loopd.MakeSparseFile("disk.img", Jobs * BytesPerJob)]);
        Shell.Run(TimeSpan.FromSeconds(120), "fio",
        [
            "--name=verify", $"--filename={device}", "--verify=crc32c", "--verify_fatal=1", "--verify_state_save=0", "--verify_dump=0",
            $"--numjobs={Jobs}", $"--size={BytesPerJob}", $"--offset_increment={BytesPerJob}", "--thread", "--allow_file_create=0",
            "--randrepeat=1", "--group_reporting", .. options.Split(' '),
        ]).Succeeded();
        Assert.Equal(0, loopd.Stop());
        Assert.Contains("engine uring", loopd.Log, StringComparison.Ordinal);
        Assert.DoesNotContain("failed", loopd.Log, StringComparison.Ordinal);
    }

    [Fact]
    public void A_tree_on_ext4_survives_a_daemon_restart()
    {
        Requirements.SkipUnlessKernelLoop();
        Requirements.SkipUnlessInstalled("mkfs.ext4", "e2fsck");
        using var loopd = new Loopd(Engine);
        using var directory = new MountDirectory(loopd);
        var tree = new FileTree(loopd, 30L << 20);
        string image = loopd.File("disk.img"), key = loopd.MakeFile("key", TransferStack.Key(32));

        loopd.Control("mount", "--create", "128M", "--mkfs", "ext4", "-e", "xor", "--key-file", key, image, directory.Path).Succeeded();
        tree.CopyTo(directory.Path);
        loopd.Control("umount", directory.Path).Succeeded();
        Assert.Equal(0, loopd.Stop());
        loopd.StartAgain();
        loopd.Control("mount", "-e", "xor", "--key-file", key, image, directory.Path).Succeeded();
        tree.AssertIsIn(directory.Path);
        loopd.Control("umount", directory.Path).Succeeded();
        Shell.Run("e2fsck", "-fn", loopd.Bind("-e", "xor", "--key-file", key, image)).Succeeded();
    }

    [Fact]
    public void A_terminated_daemon_serves_what_is_open_until_the_last_close()
    {
        using var loopd = new Loopd(Engine);
        string image = loopd.MakeFile("disk.img", Size);
        using (FileDescriptor file = FileDescriptor.Open(loopd.Bind(image), OpenFlags.ReadWrite))
        {
            loopd.Signal("TERM");
            Loopd.WaitUntil(() => MountTable.At(loopd.Mount) is null, "the mount goes out of sight");
            Assert.Equal(Errno.None, file.WriteAt(4096, "still here"u8));
            Assert.Equal(Errno.None, file.Synchronize(dataOnly: false));
            Assert.False(loopd.HasExited);
        }
        Assert.Equal(0, loopd.WaitForExit());
        Assert.Equal("still here"u8, File.ReadAllBytes(image).AsSpan(4096, 10));
        Assert.False(Directory.Exists(loopd.Mount));
    }

    /// <summary>Nobody else holds the connection: it ends with the daemon, and what was under way fails at once.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void A_daemon_killed_under_load_leaves_nothing_that_hangs(int direct)
    {
        Requirements.SkipUnlessInstalled("fio");
        using var loopd = new Loopd(Engine);
        for (int round = 0; round < 3; round++)
        {
            string device = loopd.Bind("--passthrough=off", loopd.MakeSparseFile("disk.img", 64 << 20));
            using Process load = Process.Start(new ProcessStartInfo("fio",
            [
                "--name=load", $"--filename={device}", "--ioengine=psync", $"--direct={direct}", "--rw=randrw", "--bs=4k", "--numjobs=8",
                "--size=64m", "--time_based", "--runtime=60", "--thread", "--allow_file_create=0",
            ])
            { RedirectStandardOutput = true, RedirectStandardError = true })!;
            Loopd.WaitUntil(() => loopd.List()[0].Traffic.Reads > 100, "requests are under way");
            loopd.Signal("KILL");
            loopd.WaitForExit();
            bool ended = load.WaitForExit(TimeSpan.FromSeconds(20));
            if (!ended)
                load.Kill();
            Assert.True(ended, "the callers hang");
            Assert.Equal(Errno.ENOTCONN, SystemCall.Open(loopd.Mount, OpenFlags.ReadOnly));
            loopd.StartAgain();
        }
        Loopd.WaitUntil(() => loopd.Log.Split("it is cleaned").Length == 4, "each dead mount is cleaned");
    }

    [Fact]
    public void The_environment_names_the_engine_too()
    {
        using var loopd = new Loopd();
        string mount = loopd.File("own"), socket = loopd.File("own-control");
        string log = Shell.Bash($"""
            LOOPD_ENGINE=uring LOOPD_THREADS=3 '{Loopd.Program}' --mount '{mount}' --control '{socket}' 2>&1 & daemon=$!
            for i in $(seq 200); do [ ! -S '{socket}' ] || break; sleep 0.05; done
            kill -s TERM $daemon
            wait $daemon
            """, timeoutSeconds: 30);
        Assert.Contains("engine uring", log, StringComparison.Ordinal);
    }

    [Fact]
    public void Switched_off_in_the_kernel_it_is_refused_with_the_way_to_switch_it_on()
    {
        using var place = new Place();
        IoUringSwitch.Set(on: false);
        try
        {
            place.Start(Engine).Refused("--engine uring: FUSE over io_uring is switched off",
                "echo 1 > /sys/module/fuse/parameters/enable_uring", "fuse.enable_uring=1", "--engine threads");
        }
        finally
        {
            IoUringSwitch.Set(on: true);
        }
        place.AssertNothingIsLeft();
    }

    /// <summary>At level 1 other users alone are refused: nobody else's io_uring is disturbed meanwhile.</summary>
    [Fact]
    public void Forbidden_by_the_sysctl_it_is_refused()
    {
        AnotherUser.SkipUnlessPossible();
        Assert.SkipUnless(File.Exists(Sysctl), "needs the sysctl kernel.io_uring_disabled (Linux 6.6)");
        using var place = new Place();
        Shell.Run("chown", $"{AnotherUser.Id}", place.Directory).Succeeded();
        string former = File.ReadAllText(Sysctl);
        File.WriteAllText(Sysctl, "1");
        try
        {
            AnotherUser.Run(Loopd.Program, place.Arguments(Engine))
                .Refused("io_uring is forbidden by the sysctl kernel.io_uring_disabled=1", "--engine threads");
        }
        finally
        {
            File.WriteAllText(Sysctl, former);
        }
        place.AssertNothingIsLeft();
    }

    [Fact]
    public void An_engine_that_there_is_not_is_refused()
    {
        using var place = new Place();
        place.Start("--engine", "steam").Refused("--engine must be threads or uring, not \"steam\"");
        place.AssertNothingIsLeft();
    }

    [Fact]
    public void A_count_of_threads_is_refused()
    {
        using var place = new Place();
        place.Start([.. Engine, "--threads", "4"]).Refused("--threads is for --engine threads");
        place.AssertNothingIsLeft();
    }

    /// <summary>A directory for a daemon that is not to start.</summary>
    private sealed class Place : IDisposable
    {
        internal string Directory { get; } = System.IO.Directory.CreateTempSubdirectory("loopd-refused-").FullName;

        internal string[] Arguments(params string[] more) =>
            ["--mount", Path.Combine(Directory, "dev"), "--control", Path.Combine(Directory, "control"), .. more];

        internal ShellResult Start(params string[] more) => Shell.Run(TimeSpan.FromSeconds(20), Loopd.Program, Arguments(more));

        internal void AssertNothingIsLeft() => Assert.Empty(System.IO.Directory.GetFileSystemEntries(Directory));

        public void Dispose()
        {
            MountTable.Unmount(Path.Combine(Directory, "dev"), detach: true);
            System.IO.Directory.Delete(Directory, recursive: true);
        }
    }
}
