namespace LoopDaemon.Linux.Tests;

/// <summary>Lines of /proc/self/mountinfo, as proc_pid_mountinfo(5) describes them.</summary>
public sealed class MountTableTests
{
    [Fact]
    public void A_line_is_read() => Assert.Equal(
        new MountEntry(98, 0, "/mnt2", "ext3", "/dev/root"),
        Parse("36 35 98:0 /mnt1 /mnt2 rw,noatime - ext3 /dev/root rw,errors=continue"));

    [Theory]
    [InlineData("")]
    [InlineData("master:1 ")]
    [InlineData("shared:7 master:1 propagate_from:2 unbindable ")]
    public void Optional_fields_are_skipped_however_many_there_are(string optional) => Assert.Equal(
        new MountEntry(0, 52, "/run/loopd/dev", "fuse.loopd", "loopd"),
        Parse($"36 35 0:52 / /run/loopd/dev rw,nosuid {optional}- fuse.loopd loopd rw,user_id=0"));

    [Theory]
    [InlineData(@"/mnt/a\040b", "/mnt/a b")]
    [InlineData(@"/mnt/a\011b", "/mnt/a\tb")]
    [InlineData(@"/mnt/a\012b", "/mnt/a\nb")]
    [InlineData(@"/mnt/a\134b", @"/mnt/a\b")]
    [InlineData(@"/mnt/a\134040", @"/mnt/a\040")]
    [InlineData(@"/mnt/\040", "/mnt/ ")]
    [InlineData(@"\040\040", "  ")]
    [InlineData("/mnt/größe", "/mnt/größe")]
    public void Escapes_are_undone(string written, string path)
    {
        Assert.Equal(path, Parse($"36 35 98:0 / {written} rw - ext4 /dev/sda rw").MountPoint);
        Assert.Equal(path, Parse($"36 35 98:0 / /mnt rw - ext4 {written} rw").Source);
    }

    [Fact]
    public void A_mount_point_named_dash_is_not_taken_for_the_separator() => Assert.Equal(
        new MountEntry(98, 0, "-", "ext4", "/dev/sda"), Parse("36 35 98:0 - - rw - ext4 /dev/sda rw"));

    [Fact]
    public void An_empty_source_is_read() =>
        Assert.Equal("", Parse("36 35 0:7 / /mnt rw - tmpfs  rw").Source);

    [Theory]
    [InlineData("")]
    [InlineData("36 35 98:0 /mnt1 /mnt2")]
    [InlineData("36 35 98:0 /mnt1 /mnt2 rw -")]
    [InlineData("36 35 98:0 /mnt1 /mnt2 rw - ext4")]
    public void A_line_that_is_cut_short_is_left_out(string line) => Assert.Empty(MountTable.Parse([line]));

    [Fact]
    public void This_systems_own_table_is_read()
    {
        Assert.Equal("proc", MountTable.At("/proc")?.Type);
        Assert.Null(MountTable.At("/proc/self/nothing is mounted here"));
    }

    [Fact]
    public void Unmounting_what_is_not_mounted_is_refused() =>
        Assert.Contains(MountTable.Unmount("/proc/self/fd", detach: false), new[] { Errno.EINVAL, Errno.EPERM });

    private static MountEntry Parse(string line) => Assert.Single(MountTable.Parse([line]));
}
