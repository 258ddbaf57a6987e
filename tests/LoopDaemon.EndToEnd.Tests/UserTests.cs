using System.Diagnostics;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>All of it without root: fusermount3 mounts, the default paths lie in the user's runtime directory.</summary>
public sealed class UserTests
{
    private const string Nobody = "65534";

    [Fact]
    public void A_user_serves_his_own_devices_without_root()
    {
        Requirements.SkipUnlessRootWithFuse();
        Requirements.SkipUnlessInstalled("fusermount3", "setpriv");
        string home = Directory.CreateTempSubdirectory("loopd-user-").FullName;
        string mount = Path.Combine(home, "loopd", "dev");
        Shell.Run("chown", $"{Nobody}:{Nobody}", home).Succeeded();
        bool mayOpenFuse = AsUser(home, "test", "-r", "/dev/fuse", "-a", "-w", "/dev/fuse").ExitCode == 0;
        bool mayRun = AsUser(home, "test", "-x", Loopd.Program).ExitCode == 0;
        Process? daemon = null;
        try
        {
            Assert.SkipUnless(mayOpenFuse, "needs a /dev/fuse that users may open, as udev makes it");
            Assert.SkipUnless(mayRun, "needs a build that other users may execute");
            daemon = Process.Start(new ProcessStartInfo("setpriv", Arguments(home, Loopd.Program)) { RedirectStandardError = true })!;
            Loopd.WaitUntil(() => File.Exists(Path.Combine(home, "loopd", "control")), "the user's loopd becomes ready");

            AsUser(home, "bash", "-c", $"head -c 1M /dev/urandom > '{home}/disk.img'; echo secret > '{home}/key'").Succeeded();
            string device = AsUser(home, Loopd.ControlProgram, "-f", "--show", "-e", "xor", "--key-file", $"{home}/key", $"{home}/disk.img")
                .Succeeded().Output.Trim();
            Assert.Equal(Path.Combine(mount, "loop0"), device);
            AsUser(home, "dd", "if=/dev/zero", $"of={device}", "bs=4096", "count=10", "conv=notrunc", "status=none").Succeeded();
            AsUser(home, "cmp", "-n", "40960", device, "/dev/zero").Succeeded();
            Assert.Equal((byte)'s', File.ReadAllBytes($"{home}/disk.img")[0]);

            // What only root's daemon can have passed through is served all the same.
            AsUser(home, "bash", "-c", $"head -c 1M /dev/urandom > '{home}/plain.img'").Succeeded();
            string plain = AsUser(home, Loopd.ControlProgram, "-f", "--show", $"{home}/plain.img").Succeeded().Output.Trim();
            AsUser(home, "cmp", plain, $"{home}/plain.img").Succeeded();
            Assert.Contains("CAP_SYS_ADMIN", AsUser(home, Loopd.ControlProgram, "info", plain).Succeeded().Output, StringComparison.Ordinal);
            AsUser(home, Loopd.ControlProgram, "-d", plain).Succeeded();

            // Without allow_other not even root looks in.
            Assert.Equal(Errno.EACCES, FileStatus.Of(device, out _));
            ShellResult refused = AsUser(home, Loopd.ControlProgram, "mount", $"{home}/disk.img", home);
            Assert.Equal(1, refused.ExitCode);
            Assert.Contains("needs root", refused.Error, StringComparison.Ordinal);

            AsUser(home, "kill", "-TERM", daemon.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)).Succeeded();
            Assert.True(daemon.WaitForExit(TimeSpan.FromSeconds(20)));
            Assert.Equal(0, daemon.ExitCode);
            Assert.Single(daemon.StandardError.ReadToEnd().Split('\n'), line => line.Contains("CAP_SYS_ADMIN", StringComparison.Ordinal));
            Assert.False(Directory.Exists(mount));
        }
        finally
        {
            if (daemon is { HasExited: false })
                daemon.Kill();
            daemon?.Dispose();
            MountTable.Unmount(mount, detach: true);
            Directory.Delete(home, recursive: true);
        }
    }

    private static ShellResult AsUser(string home, params string[] command) => Shell.Run("setpriv", Arguments(home, command));

    private static string[] Arguments(string home, params string[] command) =>
        [$"--reuid={Nobody}", $"--regid={Nobody}", "--clear-groups", "env", $"XDG_RUNTIME_DIR={home}", $"HOME={home}", .. command];
}
