using System.Diagnostics;
using System.Globalization;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary><c>loopctl doctor</c>: what a dead daemon has left is told and cleaned up, and what lives is left alone. The machine may
/// have other leftovers, so that a test looks at the lines about its own, and mends nothing else's: its own are the only ones.</summary>
public sealed class DoctorTests
{
    private const int Size = 64 << 20;

    [Fact]
    public void Where_all_is_well_it_says_so()
    {
        using var loopd = new Loopd("--supervise");
        loopd.Bind(loopd.MakeFile("disk.img", 1 << 20));
        ShellResult result = loopd.Control("doctor");
        Assert.StartsWith($"ok: the daemon on {loopd.Socket} answers (process {loopd.DaemonProcessId}, devices in {loopd.Mount})\n", result.Output, StringComparison.Ordinal);
        Assert.Contains($"ok: the mount on {loopd.Mount} answers\n", result.Output, StringComparison.Ordinal);
        Assert.Contains("ok: /dev/fuse can be opened\n", result.Output, StringComparison.Ordinal);
        Assert.Equal("", result.Error);
    }

    [Fact]
    public void What_a_killed_daemon_leaves_is_told_and_then_cleaned_up()
    {
        Requirements.SkipUnlessKernelLoop();
        Requirements.SkipUnlessFileSystem("ext4");
        Requirements.SkipUnlessInstalled("mkfs.ext4");
        using var loopd = new Loopd();
        string device = loopd.Bind("--passthrough=off", loopd.MakeSparseFile("disk.img", Size));
        Shell.Run("mkfs.ext4", "-q", "-F", device).Succeeded();
        using var kernelLoop = new KernelLoopDevice(device);
        using var directory = new MountDirectory(loopd);
        Shell.Run("mount", kernelLoop.Path, directory.Path).Succeeded();
        loopd.Signal("KILL");
        loopd.WaitForExit();

        string[] findings =
        [
            $"{kernelLoop.Path} is left over on loop0 on the dead mount {loopd.Mount}, with {directory.Path} mounted from it: umount what is mounted, then losetup -d {kernelLoop.Path}\n",
            $"the mount on {loopd.Mount} is dead: its daemon has died, and none has gone on: umount -l {loopd.Mount}\n",
        ];
        ShellResult told = loopd.Control("doctor");
        Assert.Equal(1, told.ExitCode);
        Assert.StartsWith($"ok: no daemon answers on {loopd.Socket}\n", told.Output, StringComparison.Ordinal);
        Assert.All(findings, finding => Assert.Contains("problem: " + finding, told.Output, StringComparison.Ordinal));
        Assert.Contains($"warning: {loopd.Socket} and {loopd.Socket}.lock are left over", told.Output, StringComparison.Ordinal);
        // A look changes nothing.
        Assert.NotNull(MountTable.At(directory.Path));
        Assert.NotNull(MountTable.At(loopd.Mount));
        Assert.True(File.Exists(loopd.Socket));

        ShellResult mended = loopd.Control("doctor", "--fix");
        Assert.All(findings, finding => Assert.Contains("fixed: " + finding, mended.Output, StringComparison.Ordinal));
        Assert.Null(MountTable.At(directory.Path));
        Assert.Null(MountTable.At(loopd.Mount));
        Assert.DoesNotContain(KernelLoop.List(), loop => loop.Path == kernelLoop.Path);
        Assert.False(File.Exists(loopd.Socket) || File.Exists(loopd.Socket + ".lock"));
        Assert.DoesNotContain(loopd.Directory, loopd.Control("doctor").Output.Replace($"no daemon answers on {loopd.Socket}", "", StringComparison.Ordinal), StringComparison.Ordinal);
        loopd.StartAgain();
    }

    /// <summary>The mount was taken away by hand, and what is on it has lost its path.</summary>
    [Fact]
    public void A_kernel_loop_device_of_a_mount_that_is_gone_is_found()
    {
        Requirements.SkipUnlessKernelLoop();
        using var loopd = new Loopd();
        string device = loopd.Bind("--passthrough=off", loopd.MakeSparseFile("disk.img", Size));
        using var kernelLoop = new KernelLoopDevice(device);
        loopd.Signal("KILL");
        loopd.WaitForExit();
        Shell.Run("umount", "-l", loopd.Mount).Succeeded();
        Assert.Contains($"problem: {kernelLoop.Path} is left over on loop0 of a mount that is gone", loopd.Control("doctor").Output, StringComparison.Ordinal);
        Assert.Contains($"fixed: {kernelLoop.Path} is left over on loop0 of a mount that is gone", loopd.Control("doctor", "--fix").Output, StringComparison.Ordinal);
        Assert.DoesNotContain(KernelLoop.List(), loop => loop.Path == kernelLoop.Path);
    }

    /// <summary>A lazy end takes the mount out of sight, and with it the path of what is still served.</summary>
    [Fact]
    public void What_a_daemon_still_serves_is_left_alone()
    {
        Requirements.SkipUnlessKernelLoop();
        using var loopd = new Loopd();
        string device = loopd.Bind(loopd.MakeFile("disk.img", 1 << 20));
        using (FileDescriptor kernelDevice = KernelLoop.Attach(device, readOnly: false, out string kernelLoop))
        {
            loopd.Signal("INT");
            Loopd.WaitUntil(() => MountTable.At(loopd.Mount) is null, "the mount goes out of sight");
            ShellResult result = loopd.Control("doctor", "--fix");
            Assert.Contains($"ok: {kernelLoop} is on loop0 of a loopd that ends with its last close\n", result.Output, StringComparison.Ordinal);
            Assert.Equal(Errno.None, kernelDevice.ReadAt(0, new byte[4096], out int count));
            Assert.Equal(4096, count);
        }
        Assert.Equal(0, loopd.WaitForExit());
    }

    /// <summary>It may be about to come back, and then all is well.</summary>
    [Fact]
    public void A_daemon_that_hangs_is_told_of_and_left_alone()
    {
        using var loopd = new Loopd("--passthrough=off");
        loopd.Bind(loopd.MakeFile("disk.img", 1 << 20));
        loopd.Signal("STOP");
        try
        {
            ShellResult result = Shell.Run(TimeSpan.FromSeconds(40), Loopd.ControlProgram, ["--control", loopd.Socket, "doctor", "--fix"]);
            Assert.Equal(1, result.ExitCode);
            Assert.Contains($"problem: the mount on {loopd.Mount} does not answer: its daemon is away or hangs", result.Output, StringComparison.Ordinal);
            Assert.Contains($"/sys/fs/fuse/connections/{MountTable.At(loopd.Mount)!.DeviceMinor}/abort", result.Output, StringComparison.Ordinal);
        }
        finally
        {
            loopd.Signal("CONT");
        }
        Assert.Single(loopd.List());
        Assert.Equal(0, loopd.Stop());
    }

    /// <summary>Root may not look into a user's mount, and so cannot tell a living one from a dead one.</summary>
    [Fact]
    public void Another_users_mount_is_left_alone()
    {
        AnotherUser.SkipUnlessPossible();
        Requirements.SkipUnlessRootWithFuse();
        Requirements.SkipUnlessInstalled("fusermount3");
        string home = Directory.CreateTempSubdirectory("loopd-user-").FullName;
        string user = AnotherUser.Id.ToString(CultureInfo.InvariantCulture), mount = Path.Combine(home, "dev"), socket = Path.Combine(home, "control");
        Shell.Run("chown", $"{user}:{user}", home).Succeeded();
        Assert.SkipUnless(AnotherUser.Run("test", "-r", "/dev/fuse", "-a", "-w", "/dev/fuse").ExitCode == 0, "needs a /dev/fuse that users may open");
        using Process daemon = Process.Start(new ProcessStartInfo("setpriv",
            [$"--reuid={user}", $"--regid={user}", "--clear-groups", "--inh-caps=-all", "--", Loopd.Program, "--mount", mount, "--control", socket])
        {
            RedirectStandardError = true,
        })!;
        try
        {
            Loopd.WaitUntil(() => AnotherUser.Run(Loopd.ControlProgram, "--control", socket, "-l").ExitCode == 0, "the user's loopd becomes ready");
            ShellResult result = Shell.Run(Loopd.ControlProgram, "--control", socket, "doctor", "--fix");
            Assert.Contains($"ok: the mount on {mount} is another user's, who alone can tell how it is\n", result.Output, StringComparison.Ordinal);
            Assert.Equal("", AnotherUser.Run("stat", "--cached=never", "-c", "", mount).Succeeded().Output.Trim());
        }
        finally
        {
            Shell.Run("kill", "-s", "INT", daemon.Id.ToString(CultureInfo.InvariantCulture));
            daemon.WaitForExit(TimeSpan.FromSeconds(10));
            Shell.Run("umount", "-l", mount);
            Directory.Delete(home, recursive: true);
        }
    }

    [Fact]
    public void What_it_cannot_be_told_is_refused() =>
        Assert.Equal(1, Shell.Run(Loopd.ControlProgram, "doctor", "loop0").ExitCode);
}
