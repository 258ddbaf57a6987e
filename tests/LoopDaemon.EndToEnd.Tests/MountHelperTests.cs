using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary><c>mount.loopd</c> and <c>umount.loopd</c>: called by mount(8) and umount(8) themselves, in a mount namespace where
/// they are installed, and directly for what mount(8) would not pass on.</summary>
public sealed class MountHelperTests : IClassFixture<SharedLoopd>, IDisposable
{
    private readonly Loopd _loopd;
    private readonly string _place, _image, _key, _directory;

    public MountHelperTests(SharedLoopd shared)
    {
        Requirements.SkipUnlessRootWithFuse();
        Requirements.SkipUnlessKernelLoop();
        Requirements.SkipUnlessInstalled("mkfs.ext4", "unshare");
        Requirements.SkipUnlessFileSystem("ext4");
        _loopd = shared.Fresh();
        _place = _loopd.File(Path.GetRandomFileName());
        (_image, _key, _directory) = (In("disk.img"), In("disk.key"), In("mnt"));
        Directory.CreateDirectory(In("sbin"));
        foreach (string name in (string[])["mount.loopd", "umount.loopd"])
            File.CreateSymbolicLink(In($"sbin/{name}"), Loopd.ControlProgram);
        _loopd.Control("mount", _image, _directory, "-e", "xor", "--key-file", _key, "--create", "16M", "--mkfs", "ext4").Succeeded();
        File.WriteAllText(Path.Combine(_directory, "hello"), "hello, world");
        _loopd.Control("umount", _directory).Succeeded();
    }

    private string Options => $"transfer=xor,keyfile={_key},fstype=ext4";

    public void Dispose()
    {
        foreach (MountEntry left in MountTable.Read().Where(mount => mount.MountPoint.StartsWith(_place, StringComparison.Ordinal)).Reverse())
            MountTable.Unmount(left.MountPoint, detach: true);
        Directory.Delete(_place, recursive: true);
    }

    [Fact]
    public void Mount_mounts_and_a_plain_umount_takes_the_chain_down()
    {
        string output = WithMount($"""
            cd '{_place}'
            mount -v -t loopd -o '{Options},noatime' disk.img mnt
            cat mnt/hello; echo
            findmnt -n -o FSTYPE,OPTIONS,SOURCE mnt
            losetup -n -O AUTOCLEAR,DIO,BACK-FILE "$(findmnt -n -o SOURCE mnt)"
            umount mnt
            """);
        string device = _loopd.Device(0);
        Assert.Matches($@"^mount.loopd: {_image} -> xor -> {device}\nmount.loopd: {device} -> (/dev/loop\d+)\nmount.loopd: \1 -> {_directory}\n"
            + $@"hello, world\next4 +rw,noatime +\1\n +1 +1 {device}\n$", output);
        AssertGone();
    }

    [Fact]
    public void A_line_of_fstab_is_mounted_remounted_and_unmounted()
    {
        File.WriteAllText(In("fstab"), $"{_image} {_directory} loopd {Options},nofail,_netdev,users,exec,x-systemd.requires=loopd.service,x-foo=1 0 0\n");
        string output = WithMount($"""
            fstab='{In("fstab")}'
            look() (findmnt -n -o FSTYPE,OPTIONS '{_directory}' || echo none)
            mount -T "$fstab" '{_directory}'; look
            mount -T "$fstab" -a; look
            mount -T "$fstab" -o remount,ro '{_directory}'; look
            touch '{_directory}/x' 2> /dev/null || echo refused
            mount -T "$fstab" -o remount,rw,noatime '{_directory}'; look
            touch '{_directory}/x'
            mount -o remount,ro '{_directory}'; look
            umount '{_directory}'; look
            """);
        Assert.Equal(["ext4 rw,nosuid,nodev,relatime", "ext4 rw,nosuid,nodev,relatime", "ext4 ro,nosuid,nodev,relatime", "refused", "ext4 rw,nosuid,nodev,noatime", "ext4 ro,nosuid,nodev,noatime", "none"],
            output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => string.Join(' ', line.Split(' ', StringSplitOptions.RemoveEmptyEntries))));
        AssertGone();
    }

    [Fact]
    public void The_subtype_is_a_transfer()
    {
        Assert.Equal("hello, world", WithMount($"mount -t loopd.xor -o keyfile='{_key}' '{_image}' '{_directory}'; cat '{_directory}/hello'; umount '{_directory}'"));
        AssertGone();
    }

    [Fact]
    public void With_helper_umount_returns_when_the_chain_is_down()
    {
        for (int round = 0; round < 3; round++)
        {
            Assert.Equal($"umount.loopd: {_directory} is unmounted, and the devices below are cleared\n0\n",
                WithMount($"mount -t loopd -o '{Options},helper=loopd' '{_image}' '{_directory}'; umount -v '{_directory}'; '{Loopd.ControlProgram}' -a | wc -l"));
        }
    }

    [Fact]
    public void A_fake_mount_checks_everything_and_does_nothing()
    {
        Assert.Equal($"mount.loopd: {_image} can be mounted on {_directory}\n",
            WithMount($"mount -f -v -t loopd -o '{Options}' '{_image}' '{_directory}'"));
        Assert.Null(MountTable.At(_directory));
        Assert.Empty(_loopd.List());
        Fails(32, $"{_image}.no: failed to set up loop device: No such file or directory", [_image + ".no", _directory, "-f", "-o", Options]);
        Fails(32, $"{_key}.no: cannot read the key: No such file or directory", [_image, _directory, "-f", "-o", $"transfer=xor,keyfile={_key}.no"]);
        Fails(32, $"{_directory}.no: the mount point does not exist", [_image, _directory + ".no", "-f", "-o", Options]);
        _loopd.Control("loop3", _image).Succeeded();
        ShellResult overlap = Helper("mount.loopd", _image, _directory, "-f", "-o", Options);
        Assert.Equal((32, $"mount.loopd: {_image}: is bound to {_loopd.Device(3)} already, and mounting it twice would destroy it: unmount or detach that one first\n"),
            (overlap.ExitCode, overlap.Error));
    }

    [Fact]
    public void What_cannot_be_mounted_is_exit_code_32_and_one_sentence()
    {
        string other = _loopd.MakeFile(Path.Combine(_place, "other.key"), 32, seed: 5);
        Fails(32, "cannot be mounted on", [_image, _directory, "-o", $"transfer=xor,keyfile={other}"]);
        Fails(32, "cannot be mounted on", [_image, _directory, "-o", $"{Options},nosuchoption=1"]);
        Fails(32, "transfer xor needs a key: give it with keyfile=FILE, or with several transfers transfer=NAME:key-file=FILE", [_image, _directory, "-o", "transfer=xor"]);
        Fails(32, "there is no transfer xro, only identity, none, xor; did you mean xor?", [_image, _directory, "-o", $"transfer=xro,keyfile={_key}"]);
        Fails(32, $"{_image}: the mount point is not a directory", [_image, _image, "-o", Options]);
        Fails(32, $"{_place}: failed to set up loop device: Is a directory", [_place, _directory, "-o", Options]);
        Fails(32, "has nothing to mount at offset 1073741824", [_image, _directory, "-o", $"{Options},device-offset=1G"]);
        Fails(32, $"{_directory}: not mounted", [_image, _directory, "-o", $"remount,ro,{Options}"]);
        Fails(32, "no daemon answers on /nonexistent/control", [_image, _directory, "-o", $"{Options},control=/nonexistent/control"]);
        Fails(1, "failed to parse size: 'x'", [_image, _directory, "-o", $"{Options},device-size=x"]);
        // mount(8) hands the code on.
        Assert.Equal("1 32 32\n", WithMount($"""
            a=0 b=0 c=0
            mount -t loopd -o keyfile=/x '{_image}' '{_directory}' 2> /dev/null || a=$?
            mount -t loopd -o transfer=xor '{_image}' '{_directory}' 2> /dev/null || b=$?
            mount -t loopd -o '{Options}' '{_image}.no' '{_directory}' 2> /dev/null || c=$?
            echo $a $b $c
            """));
    }

    /// <summary>Standard input is no terminal, as at boot: there is nobody to ask, whatever the process is controlled from.</summary>
    [Fact]
    public void A_pass_phrase_is_not_asked_for_without_a_terminal_to_read_from()
    {
        Requirements.SkipUnlessInstalled("script");
        Fails(32, "transfer xor needs a pass phrase, and standard input is no terminal: give it with pass-fd=N, or the key itself with keyfile=FILE",
            [_image, _directory, "-o", "transfer=xor,key-compat=2.12q"]);
        string transcript = Shell.Run("script", "-qec", $"'{In("sbin/mount.loopd")}' --control '{_loopd.Socket}' '{_image}' '{_directory}' -o transfer=xor < /dev/null", "/dev/null").Output;
        Assert.DoesNotContain("Password", transcript, StringComparison.Ordinal);
        Assert.Contains("transfer xor needs a key", transcript, StringComparison.Ordinal);
    }

    [Fact]
    public void Another_user_is_told_that_it_takes_root()
    {
        AnotherUser.SkipUnlessPossible();
        ShellResult refused = AnotherUser.Run(In("sbin/mount.loopd"), _image, _directory, "-o", $"{Options},user");
        Assert.Equal((1, $"mount.loopd: {_image}: mount.loopd needs root: the mount options user, users, owner and group do not work for the type loopd\n"), (refused.ExitCode, refused.Error));
    }

    [Fact]
    public void An_image_is_mounted_once()
    {
        string[] mount = [_image, _directory, "-o", Options];
        Helper("mount.loopd", mount).Succeeded();
        // Again at the same place it is there already, as with mount -a.
        Assert.Equal($"mount.loopd: {_image} is mounted on {_directory} already\n", Helper("mount.loopd", [.. mount, "-v"]).Succeeded().Output);
        Directory.CreateDirectory(In("second"));
        foreach (string[] other in (string[][])[[_image, In("second"), "-o", Options], [_image, _directory, "-o", $"{Options},device-size=8M"]])
        {
            ShellResult refused = Helper("mount.loopd", other);
            Assert.Equal((32, $"mount.loopd: {_image}: is bound to {_loopd.Device(0)} already, and mounting it twice would destroy it: unmount or detach that one first\n"),
                (refused.ExitCode, refused.Error));
        }
        Assert.Single(_loopd.List());
        Helper("umount.loopd", _directory).Succeeded();
        Assert.Empty(_loopd.List());
    }

    [Fact]
    public void Read_only_and_a_part_of_the_image()
    {
        string inside = In("inside.img");
        Shell.Bash($"(head -c 1M /dev/zero; cat '{_image}'; head -c 1M /dev/zero) > '{inside}'");
        // The key's 32 bytes are the same in each sector, wherever it is.
        Helper("mount.loopd", inside, _directory, "-o", $"rw,transfer=\"xor:key-file={_key}\",device-offset=1M,device-size=16M,ro").Succeeded();
        DeviceStatus device = Assert.Single(_loopd.List());
        Assert.Equal((1L << 20, 16L << 20, true), (device.Offset, device.SizeLimit, device.ReadOnly));
        Assert.Equal("hello, world", File.ReadAllText(Path.Combine(_directory, "hello")));
        Helper("umount.loopd", _directory, "-v").Succeeded();
        Assert.Empty(_loopd.List());
    }

    [Fact]
    public void Umount_by_device_and_what_is_busy_or_not_ours()
    {
        Helper("mount.loopd", _image, _directory, "-o", Options).Succeeded();
        using (File.OpenRead(Path.Combine(_directory, "hello")))
        {
            ShellResult busy = Helper("umount.loopd", _directory);
            Assert.Equal(32, busy.ExitCode);
            Assert.Matches($"^umount.loopd: {_directory} cannot be unmounted: .*busy", busy.Error);
            Assert.NotNull(MountTable.At(_directory));
        }
        Helper("umount.loopd", MountTable.At(_directory)!.Source, "-n", "-t", "loopd").Succeeded();
        Assert.Empty(_loopd.List());
        Assert.Equal((32, $"umount.loopd: {_directory}: not mounted\n"), (Helper("umount.loopd", _directory).ExitCode, Helper("umount.loopd", _directory).Error));
        Shell.Run("mount", "-t", "tmpfs", "none", _directory).Succeeded();
        ShellResult foreign = Helper("umount.loopd", _directory);
        Assert.Equal((32, $"umount.loopd: {_directory}: is not mounted from a device of loopd: use umount\n"), (foreign.ExitCode, foreign.Error));
        Shell.Run("umount", _directory).Succeeded();
    }

    [Fact]
    public void What_is_mounted_elsewhere_too_is_not_waited_for()
    {
        Directory.CreateDirectory(In("second"));
        Helper("mount.loopd", _image, _directory, "-o", Options).Succeeded();
        Shell.Run("mount", "--bind", _directory, In("second")).Succeeded();
        Helper("umount.loopd", _directory).Succeeded();
        Assert.Equal("hello, world", File.ReadAllText(In("second/hello")));
        Helper("umount.loopd", In("second")).Succeeded();
        Assert.Empty(_loopd.List());
    }

    [Fact]
    public void Another_mount_namespace()
    {
        string output = Shell.Bash($"""
            mkfifo '{In("ready")}' '{In("end")}'
            unshare -m --propagation private bash -c "echo > '{In("ready")}'; read < '{In("end")}'; cat '{In("mnt/hello")}'" &
            read < '{In("ready")}'
            '{In("sbin/mount.loopd")}' '{_image}' '{_directory}' -N /proc/$!/ns/mnt --control '{_loopd.Socket}' -o '{Options}'
            ls -A '{_directory}'
            echo > '{In("end")}'
            wait
            """);
        Assert.Equal("hello, world", output);
        AssertGone();
    }

    [Fact]
    public void A_lazy_umount_does_not_wait()
    {
        Helper("mount.loopd", _image, _directory, "-o", Options).Succeeded();
        using (FileStream open = File.OpenRead(Path.Combine(_directory, "hello")))
        {
            Helper("umount.loopd", "-l", _directory).Succeeded();
            Assert.Null(MountTable.At(_directory));
            Assert.Single(_loopd.List());
            Assert.Equal('h', open.ReadByte());
        }
        AssertGone();
    }

    /// <summary>The file system's own mount, when it is called, interrupts who calls it, and gives it time to hear.</summary>
    [Theory]
    [InlineData("INT")]
    [InlineData("TERM")]
    public void An_interrupt_is_exit_code_8_and_leaves_nothing(string signal)
    {
        Directory.CreateDirectory(In("bin"));
        File.WriteAllText(In("bin/mount"), $"#!/bin/sh\nkill -s {signal} $PPID\nsleep 0.5\nexit 1\n");
        File.SetUnixFileMode(In("bin/mount"), UnixFileMode.UserRead | UnixFileMode.UserExecute);
        ShellResult result = Shell.Run(Shell.DefaultTimeout, In("sbin/mount.loopd"), [_image, _directory, "--control", _loopd.Socket, "-o", Options],
            new Dictionary<string, string> { ["PATH"] = $"{In("bin")}:{Environment.GetEnvironmentVariable("PATH")}" });
        Assert.Equal((8, "mount.loopd: interrupted: nothing was mounted\n"), (result.ExitCode, result.Error));
        AssertGone();
    }

    private string In(string name) => Path.Combine(_place, name);

    private ShellResult Helper(string name, params string[] arguments) => Shell.Run(In($"sbin/{name}"), ["--control", _loopd.Socket, .. arguments]);

    /// <summary>Runs a script where mount(8) finds the helpers and this daemon, and keeps its notes to itself.</summary>
    private string WithMount(string script)
    {
        Requirements.SkipUnlessFileSystem("overlay");
        return Shell.Run("unshare", "-m", "--propagation", "private", "bash", "-c", $"""
            set -eu -o pipefail
            sbin=$(readlink -f /sbin)
            mount -t tmpfs none /run
            mount -t overlay none -o lowerdir='{In("sbin")}':"$sbin" "$sbin"
            export LOOPD_CONTROL='{_loopd.Socket}'
            {script}
            """).Succeeded().Output;
    }

    private void Fails(int exitCode, string part, string[] arguments)
    {
        ShellResult result = Helper("mount.loopd", arguments);
        Assert.True(result.ExitCode == exitCode, $"{result.Command}: exit code {result.ExitCode}\n{result.Error}");
        Assert.StartsWith("mount.loopd: ", result.Error, StringComparison.Ordinal);
        Assert.Contains(part, result.Error, StringComparison.Ordinal);
        Assert.Equal(1, result.Error.Count(letter => letter == '\n'));
        Assert.Null(MountTable.At(_directory));
        AssertGone();
    }

    private void AssertGone()
    {
        Loopd.WaitUntil(() => _loopd.List().Count == 0, "the device goes");
        Loopd.WaitUntil(() => !KernelLoop.List().Any(loop => loop.BackingFile.StartsWith(_loopd.Mount, StringComparison.Ordinal)), "the kernel's device goes");
    }
}
