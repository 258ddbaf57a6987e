using System.Diagnostics;
using System.Text.Json;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>What users do, with the programs that a package installs: the native loopctl, and loopd compiled ahead of time.
/// What is done by reflection or loaded by name shows here alone.</summary>
public sealed class PublishedProgramTests : IClassFixture<PublishedPrograms>, IDisposable
{
    private const string DefaultSocket = "/run/loopd/control", DefaultMount = "/run/loopd/dev";

    private readonly PublishedPrograms _programs;
    private readonly string _place = Directory.CreateTempSubdirectory("loopd-published-").FullName;
    private readonly List<Process> _daemons = [];

    public PublishedProgramTests(PublishedPrograms programs)
    {
        programs.SkipUnlessBuilt();
        _programs = programs;
    }

    private string Socket => In("control");

    private string Mount => In("dev");

    public void Dispose()
    {
        foreach (Process daemon in _daemons)
        {
            Shell.Run("kill", "-s", "TERM", $"{daemon.Id}");
            if (!daemon.WaitForExit(TimeSpan.FromSeconds(10)))
                daemon.Kill();
            daemon.Dispose();
        }
        MountTable.Unmount(Mount, detach: true);
        Directory.Delete(_place, recursive: true);
    }

    [Fact]
    public void The_build_prints_no_warning() =>
        Assert.DoesNotContain("warning", _programs.BuildOutput, StringComparison.OrdinalIgnoreCase);

    [Theory]
    [InlineData("lib/loopd/loopd")]
    [InlineData("lib/loopd/loopctl")]
    [InlineData("sbin/mount.loopd")]
    [InlineData("sbin/umount.loopd")]
    [InlineData("share/man/man5/looptab.5.gz")]
    [InlineData("share/man/man8/loopctl.8.gz")]
    [InlineData("share/man/man8/loopd.8.gz")]
    [InlineData("share/man/man8/mount.loopd.8.gz")]
    [InlineData("share/man/man8/umount.loopd.8.gz")]
    [InlineData("share/bash-completion/completions/loopctl")]
    [InlineData("share/zsh/vendor-completions/_loopctl")]
    [InlineData("share/fish/vendor_completions.d/loopctl.fish")]
    public void The_tree_holds(string file) => Assert.True(File.Exists(Path.Combine(_programs.Root, "usr", file)));

    [Fact]
    public void Version_help_and_completion_are_those_of_the_build()
    {
        string[][] commandLines = [["--version"], ["--help"], ["help", "mount"], ["completion", "bash"], ["completion", "zsh"], ["completion", "fish"],
            ["completion", "candidates", "--", "--di"]];
        Assert.All(commandLines, words => Assert.Equal(
            Shell.Run(Loopd.ControlProgram, words).Succeeded().Output, Shell.Run(_programs.Loopctl, words).Succeeded().Output));
        Assert.Equal(Shell.Run(Loopd.Program, "--help").Succeeded().Output, Shell.Run(_programs.Loopd, "--help").Succeeded().Output);
        Assert.All([["--max-loop", "0"], ["--nonsense"], new[] { "--log-level", "loud" }], words => Assert.Equal(
            Shell.Run(Loopd.Program, words).Error, Shell.Run(_programs.Loopd, words).Error));
    }

    [Fact]
    public void A_device_is_bound_listed_watched_and_cleared()
    {
        Start();
        string image = In("disk.img");
        File.WriteAllBytes(image, new byte[1 << 20]);
        File.WriteAllText(In("key"), "secret");
        using Process monitor = Process.Start(new ProcessStartInfo(_programs.Loopctl, ["--control", Socket, "monitor", "--json"]) { RedirectStandardOutput = true })!;
        Assert.Contains("\"ready\"", monitor.StandardOutput.ReadLine(), StringComparison.Ordinal);

        string device = Control("-f", "--show", "-e", "xor", "--key-file", In("key"), image).Output.Trim();
        Assert.Equal(Path.Combine(Mount, "loop0"), device);
        Assert.Equal("secret"u8.ToArray(), File.ReadAllBytes(device)[..6]);
        Assert.Contains(image, Control("-a").Output, StringComparison.Ordinal);
        Assert.Contains(image, Control("--list").Output, StringComparison.Ordinal);
        using JsonDocument list = JsonDocument.Parse(Control("--list", "--json").Output);
        Assert.Equal(image, list.RootElement.GetProperty("loopdevices")[0].GetProperty("back-file").GetString());
        Assert.Contains("xor", Control("transfers").Output, StringComparison.Ordinal);
        Assert.Contains(image, Control("info", device).Output, StringComparison.Ordinal);
        Control("-d", device);
        Assert.Equal(1, Shell.Run(_programs.Loopctl, "--control", Socket, "-d", device).ExitCode);

        Assert.Contains("\"bound\"", monitor.StandardOutput.ReadLine(), StringComparison.Ordinal);
        Assert.Contains("\"cleared\"", monitor.StandardOutput.ReadLine(), StringComparison.Ordinal);
        Shell.Run("kill", "-s", "INT", $"{monitor.Id}").Succeeded();
        Assert.True(monitor.WaitForExit(TimeSpan.FromSeconds(10)));
        Assert.Equal(0, monitor.ExitCode);
    }

    [Fact]
    public void A_pass_phrase_is_asked_for_and_becomes_the_key()
    {
        Requirements.SkipUnlessInstalled("script");
        Start();
        File.WriteAllBytes(In("disk.img"), new byte[4096]);
        string seen = Shell.Bash($"(sleep 1; echo secret; sleep 1) | script -qec \"{_programs.Loopctl} --control {Socket} -f -e xor {In("disk.img")}\" /dev/null");
        Assert.Contains("Password:", seen, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", seen, StringComparison.Ordinal);
        byte[] native = File.ReadAllBytes(Path.Combine(Mount, "loop0"));
        Control("-d", "loop0");
        Shell.Bash($"printf secret | {Loopd.ControlProgram} --control {Socket} -f -e xor -p 0 {In("disk.img")}");
        Assert.Equal(native, File.ReadAllBytes(Path.Combine(Mount, "loop0")));
    }

    /// <summary>BouncyCastle's hashes, whose code nothing but a key calls.</summary>
    [Theory]
    [InlineData("2.12q")]
    [InlineData("debian")]
    [InlineData("loop-aes")]
    public void A_key_of_an_old_losetup_is_that_of_the_build(string rules)
    {
        Start();
        File.WriteAllBytes(In("disk.img"), new byte[4096]);
        byte[][] read = [.. new[] { _programs.Loopctl, Loopd.ControlProgram }.Select(program =>
        {
            Shell.Bash($"printf 'a pass phrase of more than twenty letters' | {program} --control {Socket} -f -e xor --key-compat {rules} -p 0 {In("disk.img")}");
            byte[] plain = File.ReadAllBytes(Path.Combine(Mount, "loop0"));
            Control("-d", "loop0");
            return plain;
        })];
        Assert.Equal(read[1], read[0]);
    }

    [Fact]
    public void It_starts_the_daemon_beside_it_and_mounts()
    {
        Requirements.SkipUnlessRootWithFuse();
        Requirements.SkipUnlessKernelLoop();
        Requirements.SkipUnlessInstalled("mkfs.ext4", "blkid");
        Requirements.SkipUnlessFileSystem("ext4");
        Assert.SkipWhen(File.Exists(DefaultSocket), "a daemon runs on the default socket");
        string mounted = Shell.Run(_programs.Loopctl, "mount", In("disk.img"), In("mnt"), "-e", "xor", "--key-file", In("key"), "--create", "16M", "--mkfs", "ext4")
            .Succeeded().Output;
        try
        {
            string process = mounted.Split("daemon: started for this, process ")[1].Split(',')[0];
            Assert.Equal(Path.Combine(_programs.Root, "usr/lib/loopd/loopd"), File.ResolveLinkTarget($"/proc/{process}/exe", returnFinalTarget: true)!.FullName);
            File.WriteAllText(Path.Combine(In("mnt"), "hello"), "hello, world");
        }
        finally
        {
            Shell.Run(_programs.Loopctl, "umount", In("mnt")).Succeeded();
        }
        Loopd.WaitUntil(() => !File.Exists(DefaultSocket) && !Directory.Exists(DefaultMount), "the daemon goes");
    }

    [Fact]
    public void A_table_is_applied_and_the_helpers_mount()
    {
        Requirements.SkipUnlessKernelLoop();
        Requirements.SkipUnlessInstalled("mkfs.ext4", "blkid");
        Requirements.SkipUnlessFileSystem("ext4");
        Start();
        Control("mount", In("disk.img"), In("mnt"), "-e", "xor", "--key-file", In("key"), "--create", "16M", "--mkfs", "ext4");
        Control("umount", In("mnt"));
        File.WriteAllText(In("looptab"), $"data {In("disk.img")} {In("key")} transfer=xor,group=root,direct-io\n");
        Assert.Equal($"data: {Mount}/loop0\n", Control("apply", In("looptab")).Output);
        Assert.Equal($"data: {Mount}/loop0, bound already\n", Control("apply", In("looptab")).Output);
        Control("-d", "loop0");
        string mount = Path.Combine(_programs.Root, "usr/sbin/mount.loopd"), umount = Path.Combine(_programs.Root, "usr/sbin/umount.loopd");
        Shell.Run(mount, In("disk.img"), In("mnt"), "-o", $"transfer=xor,keyfile={In("key")},control={Socket},noatime").Succeeded();
        Assert.True(Directory.Exists(Path.Combine(In("mnt"), "lost+found")));
        Shell.Run(umount, In("mnt"), "--control", Socket).Succeeded();
        Assert.Equal("", Control("-a").Output);
        Assert.Equal(32, Shell.Run(umount, In("mnt")).ExitCode);
    }

    /// <summary>A start that is ten times slower than a quiet machine's is none; tests/bench/startup.sh prints the figures.</summary>
    [Fact]
    public void They_start_at_once()
    {
        Requirements.SkipUnlessRootWithFuse();
        TimeSpan served = Best(() =>
        {
            var clock = Stopwatch.StartNew();
            Process daemon = Spawn();
            while (!File.Exists(Path.Combine(Mount, "loop0")))
                Assert.False(daemon.HasExited);
            TimeSpan taken = clock.Elapsed;
            Shell.Run("kill", "-s", "TERM", $"{daemon.Id}");
            Assert.True(daemon.WaitForExit(TimeSpan.FromSeconds(10)));
            Assert.Equal(0, daemon.ExitCode);
            _daemons.Remove(daemon);
            return taken;
        });
        Start();
        TimeSpan version = Best(() => Time("--version")), list = Best(() => Time("--control", Socket, "--list"));
        string figures = $"loopd serves after {served.TotalMilliseconds:0} ms, loopctl --version takes {version.TotalMilliseconds:0} ms, --list {list.TotalMilliseconds:0} ms";
        TestContext.Current.SendDiagnosticMessage(figures);
        TestContext.Current.TestOutputHelper?.WriteLine(figures);
        Assert.True(served < TimeSpan.FromMilliseconds(1000) && version < TimeSpan.FromMilliseconds(150) && list < TimeSpan.FromMilliseconds(300), figures);
    }

    private static TimeSpan Best(Func<TimeSpan> measure) => Enumerable.Range(0, 7).Min(_ => measure());

    private TimeSpan Time(params string[] arguments)
    {
        var clock = Stopwatch.StartNew();
        Shell.Run(_programs.Loopctl, arguments).Succeeded();
        return clock.Elapsed;
    }

    private string In(string name) => Path.Combine(_place, name);

    private ShellResult Control(params string[] arguments) => Shell.Run(_programs.Loopctl, ["--control", Socket, .. arguments]).Succeeded();

    private void Start()
    {
        Requirements.SkipUnlessRootWithFuse();
        Process daemon = Spawn();
        Loopd.WaitUntil(() => daemon.HasExited || Shell.Run(_programs.Loopctl, "--control", Socket, "--list").ExitCode == 0, "loopd becomes ready");
        Assert.False(daemon.HasExited);
    }

    private Process Spawn()
    {
        var daemon = Process.Start(_programs.Loopd, ["--mount", Mount, "--control", Socket, "--log-level", "error"]);
        _daemons.Add(daemon);
        return daemon;
    }
}
