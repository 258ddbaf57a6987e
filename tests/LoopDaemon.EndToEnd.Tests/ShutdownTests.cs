using System.Diagnostics;
using System.Globalization;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary><c>loopctl shutdown</c>, with and without a supervisor: it refuses, waits or takes away, and leaves nothing behind.</summary>
public sealed class ShutdownTests
{
    private const int Size = 8 << 20;

    [Theory]
    [InlineData]
    [InlineData("--supervise")]
    public void It_ends_a_daemon_that_nobody_uses_and_leaves_nothing_behind(params string[] options)
    {
        using var loopd = new Loopd(options);
        loopd.Bind(loopd.MakeFile("disk.img", Size));
        Assert.Equal("", loopd.Control("shutdown").Succeeded().Error);
        // It returns when the daemon has ended; its supervisor has then still to see it.
        Assert.Null(MountTable.At(loopd.Mount));
        Assert.False(Directory.Exists(loopd.Mount));
        Assert.False(File.Exists(loopd.Socket));
        Assert.Equal(0, loopd.WaitForExit(seconds: 5));
        // On the default socket it would be as it should be; a socket that is named should be there.
        loopd.Control("shutdown").Refused($"no daemon answers on {loopd.Socket}");
    }

    [Theory]
    [InlineData]
    [InlineData("--supervise")]
    public void It_is_refused_while_a_device_is_open_and_names_who_has_it(params string[] options)
    {
        using var loopd = new Loopd(options);
        string device = loopd.Bind(loopd.MakeFile("disk.img", Size));
        using (FileDescriptor file = FileDescriptor.Open(device, OpenFlags.ReadWrite))
        {
            ShellResult refused = loopd.Control("shutdown");
            Assert.Equal(1, refused.ExitCode);
            Assert.Matches($@"^loopctl: the daemon stays: .*still open: loop0 by .* \(process {Environment.ProcessId}\)\n$", refused.Error);
            Assert.Equal(Errno.None, file.WriteAt(0, new byte[512]));
            Assert.Single(loopd.List());
        }
        loopd.Control("shutdown").Succeeded();
        Assert.Equal(0, loopd.WaitForExit());
    }

    [Fact]
    public void A_mounted_file_system_is_named_and_taken_down_only_by_force()
    {
        Requirements.SkipUnlessKernelLoop();
        Requirements.SkipUnlessFileSystem("ext4");
        Requirements.SkipUnlessInstalled("mkfs.ext4", "e2fsck");
        using var loopd = new Loopd("--supervise");
        string image = loopd.MakeSparseFile("disk.img", 64 << 20);
        string device = loopd.Bind(image);
        Shell.Run("mkfs.ext4", "-q", "-F", device).Succeeded();
        using var kernelLoop = new KernelLoopDevice(device);
        using var directory = new MountDirectory(loopd);
        Shell.Run("mount", kernelLoop.Path, directory.Path).Succeeded();
        // Dirty until the very end.
        File.WriteAllText(Path.Combine(directory.Path, "file"), "not synced");
        Assert.Contains($"loop0 by {kernelLoop.Path} on {directory.Path}", loopd.Control("shutdown").Error, StringComparison.Ordinal);
        Assert.Equal("not synced", File.ReadAllText(Path.Combine(directory.Path, "file")));
        loopd.Control("shutdown", "--force").Succeeded();
        Assert.Equal(0, loopd.WaitForExit());
        Assert.DoesNotContain(KernelLoop.List(), loop => loop.Path == kernelLoop.Path && loop.BackingFile == device);
        Shell.Run("e2fsck", "-fn", image).Succeeded();
        Assert.Equal("not synced", Shell.Run("debugfs", "-R", "cat /file", image).Succeeded().Output);
    }

    /// <summary>A process that has a device open cannot be helped, and the daemon goes all the same.</summary>
    [Fact]
    public void Force_takes_a_device_away_from_a_process()
    {
        using var loopd = new Loopd("--supervise");
        using FileDescriptor file = FileDescriptor.Open(loopd.Bind("--passthrough=off", loopd.MakeFile("disk.img", Size)), OpenFlags.ReadWrite);
        loopd.Control("shutdown", "--force", "--timeout", "10").Succeeded();
        loopd.WaitForExit(seconds: 5);
        Assert.Null(MountTable.At(loopd.Mount));
        Assert.NotEqual(Errno.None, file.ReadAt(0, new byte[512], out _));
    }

    [Theory]
    [InlineData("--lazy", "--force")]
    [InlineData("--force", "--lazy")]
    public void To_wait_and_to_take_away_exclude_each_other(params string[] options)
    {
        using var loopd = new Loopd();
        using FileDescriptor file = FileDescriptor.Open(loopd.Bind("--passthrough=off", loopd.MakeFile("disk.img", Size)), OpenFlags.ReadWrite);
        loopd.Control(["shutdown", .. options]).Refused("mutually exclusive arguments: --lazy --force");
        Assert.NotNull(MountTable.At(loopd.Mount));
        Assert.Equal(Errno.None, file.ReadAt(0, new byte[512], out _));
    }

    [Theory]
    [InlineData]
    [InlineData("--supervise")]
    public void Lazily_it_waits_for_the_last_close(params string[] options)
    {
        using var loopd = new Loopd(options);
        FileDescriptor file = FileDescriptor.Open(loopd.Bind(loopd.MakeFile("disk.img", Size)), OpenFlags.ReadWrite);
        using Process shutdown = Process.Start(Loopd.ControlProgram, ["--control", loopd.Socket, "shutdown", "--lazy"]);
        using (file)
        {
            Loopd.WaitUntil(() => MountTable.At(loopd.Mount) is null, "the mount goes out of sight");
            Assert.Equal(Errno.None, file.WriteAt(0, new byte[512]));
            Assert.False(shutdown.WaitForExit(TimeSpan.FromMilliseconds(500)));
        }
        Assert.True(shutdown.WaitForExit(TimeSpan.FromSeconds(10)));
        Assert.Equal(0, shutdown.ExitCode);
        Assert.Equal(0, loopd.WaitForExit(seconds: 5));
    }

    [Fact]
    public void A_time_out_is_a_failure_and_the_daemon_goes_on_to_its_end()
    {
        using var loopd = new Loopd();
        using (FileDescriptor.Open(loopd.Bind(loopd.MakeFile("disk.img", Size)), OpenFlags.ReadWrite))
        {
            ShellResult late = loopd.Control("shutdown", "--lazy", "--timeout", "0.3");
            Assert.Equal(1, late.ExitCode);
            Assert.Contains($"(process {loopd.ProcessId}) has not ended after 0.3 seconds: a device is still open", late.Error, StringComparison.Ordinal);
        }
        Assert.Equal(0, loopd.WaitForExit());
    }

    [Fact]
    public void Only_root_and_the_daemons_own_user_may_ask_for_it()
    {
        AnotherUser.SkipUnlessPossible();
        using var loopd = new Loopd();
        // Whoever may call at all.
        Shell.Run("chmod", "0755", loopd.Directory).Succeeded();
        Shell.Run("chmod", "0666", loopd.Socket).Succeeded();
        foreach (string[] how in (string[][])[["shutdown"], ["shutdown", "--force"], ["shutdown", "--lazy"]])
        {
            ShellResult refused = AnotherUser.Control(loopd, how);
            Assert.Equal(1, refused.ExitCode);
            Assert.Contains("only root and the daemon's own user may end it", refused.Error, StringComparison.Ordinal);
        }
        Assert.Empty(loopd.List());
    }

    /// <summary>A daemon that dies while it ends must not come back to serve.</summary>
    [Fact]
    public void A_daemon_killed_while_it_ends_lazily_ends_all_the_same()
    {
        using var loopd = new Loopd("--supervise");
        FileDescriptor file = FileDescriptor.Open(loopd.Bind("--passthrough=off", loopd.MakeFile("disk.img", Size)), OpenFlags.ReadWrite);
        using Process shutdown = Process.Start(new ProcessStartInfo(Loopd.ControlProgram, ["--control", loopd.Socket, "shutdown", "--lazy"]) { RedirectStandardError = true })!;
        using (file)
        {
            Loopd.WaitUntil(() => MountTable.At(loopd.Mount) is null, "the mount goes out of sight");
            int before = loopd.DaemonProcessId;
            Shell.Run("kill", "-s", "KILL", before.ToString(CultureInfo.InvariantCulture)).Succeeded();
            Loopd.WaitUntil(() => loopd.DaemonProcessId is var now && now != 0 && now != before, "the next daemon");
            Assert.Equal(Errno.None, file.WriteAt(0, new byte[512]));
            Assert.Equal(Errno.None, file.Synchronize(dataOnly: false));
        }
        loopd.WaitForExit();
        Assert.True(shutdown.WaitForExit(TimeSpan.FromSeconds(10)));
        Assert.Null(MountTable.At(loopd.Mount));
        Assert.False(File.Exists(loopd.Socket));
    }
}
