using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary><c>loopctl info</c>, <c>monitor</c>, <c>wait</c> and <c>rescan</c>, and the options that losetup lacks.</summary>
public sealed class VerbTests : IClassFixture<SharedLoopd>
{
    private readonly Loopd _loopd;
    private readonly string _image;

    public VerbTests(SharedLoopd shared)
    {
        _loopd = shared.Fresh();
        _image = _loopd.MakeFile("disk.img", 1 << 20);
    }

    [Fact]
    public void Info_says_everything_about_a_device()
    {
        string key = _loopd.MakeFile("disk.key", 32);
        string device = _loopd.Bind("-o", "4096", "--sizelimit", "512K", "-b", "1024", "-r", "--autoclear", "--loop-ref", "the text",
            "--group", "daemon", "--mode", "0640", "-e", $"xor:key-file={key}", "-e", $"xor:key-file={key}", "--sectors-from", "offset", _image);
        using (FileDescriptor file = FileDescriptor.Open(device, OpenFlags.ReadOnly | FileDescriptor.Direct))
        {
            Assert.Equal(Errno.None, file.ReadAt(0, new byte[4096], out _));
            string text = _loopd.Control("info", "loop0").Succeeded().Output;
            Assert.StartsWith($"{device}\n  backing file    {_image}\n", text, StringComparison.Ordinal);
            foreach (string line in (string[])
                [
                    "  size            524288 bytes (512 KiB)", "  offset          4096 bytes (4 KiB)", "  size limit      524288 bytes (512 KiB)",
                    "  sector size     1024 bytes (1 KiB)", "  access          read-only", "  direct I/O      off", "  autoclear       at the last close",
                    "  transfers       device -> xor -> xor -> file", "                  sectors counted from the offset", "  reference       the text",
                    "  owner           root (0), group daemon (1), mode 0640", "  open            once", "  reads           1, 4096 bytes (4 KiB)",
                    "  writes          0, 0 bytes", "  errors          0", "  partitions      not shown",
                ])
            {
                Assert.Contains(line + "\n", text, StringComparison.Ordinal);
            }
            Assert.Matches(@"(?m)^  bound           20\d\d-\d\d-\d\d \d\d:\d\d:\d\d, \d+ s ago$", text);

            JsonElement json = JsonDocument.Parse(_loopd.Control("info", "--json", device).Succeeded().Output).RootElement.GetProperty("loopdevices")[0];
            Assert.Equal((device, _image, 524288, true), (
                json.GetProperty("name").GetString(), json.GetProperty("back-file").GetString(), json.GetProperty("size").GetInt64(), json.GetProperty("ro").GetBoolean()));
            Assert.Equal(["xor", "xor"], json.GetProperty("transfers").EnumerateArray().Select(name => name.GetString()));
            Assert.Equal(("daemon", "0640", 1), (json.GetProperty("group").GetString(), json.GetProperty("mode").GetString(), json.GetProperty("open").GetInt32()));
        }
        Loopd.WaitUntil(() => _loopd.List().Count == 0, "the device clears itself");
    }

    [Fact]
    public void Info_goes_on_after_a_device_that_is_not_bound()
    {
        string device = _loopd.Bind(_image);
        ShellResult result = _loopd.Control("info", "loop3", "loop0", "nonsense");
        Assert.Equal(1, result.ExitCode);
        Assert.StartsWith(device + "\n", result.Output, StringComparison.Ordinal);
        Assert.Equal($"loopctl: {_loopd.Device(3)}: is not bound to a file\nloopctl: nonsense: failed to use device: No such device\n", result.Error);
    }

    [Fact]
    public void Info_and_rescan_show_partitions()
    {
        Requirements.SkipUnlessInstalled("sfdisk");
        string image = _loopd.MakeSparseFile("parts.img", 8 << 20), script = _loopd.MakeFile("script", "label: dos\nsize=2M\nsize=1M\n"u8.ToArray());
        Shell.Bash($"sfdisk -q '{image}' < '{script}'");
        string device = _loopd.Bind("-P", image);
        Assert.Contains($"  partitions      2\n                  {device}p1: 2097152 bytes (2 MiB) from 1048576 bytes (1 MiB)\n",
            _loopd.Control("info", "0").Succeeded().Output, StringComparison.Ordinal);
        Assert.Equal($"{device}p1\n{device}p2\n", _loopd.Control("rescan", "loop0").Succeeded().Output);
        Shell.Bash($"echo size=512K | sfdisk -q -a '{image}'");
        using (FileDescriptor.Open($"{device}p2", OpenFlags.ReadOnly))
            _loopd.Control("rescan", "loop0").Refused($"{device}: rescan failed: ");
        Assert.Equal($"{device}p1\n{device}p2\n{device}p3\n", _loopd.Control("rescan", device).Succeeded().Output);
        _loopd.Control("-d", "0").Succeeded();
        _loopd.Control("rescan", "0").Refused($"{device}: rescan failed: No such device or address");
        _loopd.Bind(image);
        _loopd.Control("rescan", "0").Refused($"{device}: rescan failed: loop0 is bound without partition scanning");
    }

    [Fact]
    public void Our_columns_show_what_a_device_has_done()
    {
        string device = _loopd.Bind("--passthrough=off", _image);
        using FileDescriptor file = FileDescriptor.Open(device, OpenFlags.ReadWrite | FileDescriptor.Direct);
        Assert.Equal(Errno.None, file.WriteAt(0, new byte[8192]));
        Assert.Equal(Errno.None, file.ReadAt(0, new byte[4096], out _));
        Assert.Equal(
            "TRANSFER OWNER OPEN READS WRITES BYTES-READ BYTES-WRITTEN ERRORS\n         root     1     1      1       4096          8192      0\n",
            _loopd.Control("-l", "-O", "TRANSFER,OWNER,OPEN,READS,WRITES,BYTES-READ,BYTES-WRITTEN,ERRORS").Succeeded().Output);
    }

    [Fact]
    public void Group_and_mode_are_those_of_the_file()
    {
        string device = _loopd.Bind("--group", "2", "--mode", "0660", _image);
        Assert.Equal("0 2 660\n", Shell.Run("stat", "-c", "%u %g %a", device).Succeeded().Output);
        _loopd.Control("--mode", "0770", "loop1", _image).Refused($"{_image}: failed to set up loop device: a device's mode has read and write permissions only");
        _loopd.Control("--mode", "rw", "loop1", _image).Refused("failed to parse mode: 'rw': Invalid argument");
        _loopd.Control("--group", "nosuchgroup", "loop1", _image).Refused("failed to parse group: 'nosuchgroup': there is no such group");
        _loopd.Control("--loop-ref", new string('x', 64), "loop1", _image).Refused($"{_image}: failed to set up loop device: a reference has at most 63 bytes");
    }

    [Fact]
    public void Autoclear_clears_at_the_last_close()
    {
        string device = _loopd.Bind("--autoclear", _image);
        Assert.Equal("1\n", _loopd.Control("-n", "-l", "-O", "AUTOCLEAR", device).Succeeded().Output.TrimStart());
        FileDescriptor.Open(device, OpenFlags.ReadOnly).Dispose();
        _loopd.Control("wait", "--timeout", "10", device).Succeeded();
        Assert.Empty(_loopd.List());
    }

    [Fact]
    public void Wait_returns_at_once_where_there_is_nothing_to_wait_for()
    {
        foreach (string name in (string[])["loop0", _loopd.Device(7), "100"])
            Assert.Equal(("", ""), Printed(_loopd.Control("wait", name).Succeeded()));
        _loopd.Bind(_image);
        Assert.Equal(("", ""), Printed(_loopd.Control("wait", "--bound", "loop0").Succeeded()));
        _loopd.Control("wait", "65536").Refused("65536: failed to use device: No such device");
    }

    [Theory]
    [InlineData(false, "is still bound after 0.3 seconds")]
    [InlineData(true, "is not bound after 0.3 seconds")]
    public void Wait_gives_up(bool bound, string sentence)
    {
        if (!bound)
            _loopd.Bind(_image);
        var clock = Stopwatch.StartNew();
        _loopd.Control("wait", bound ? "--bound" : "--cleared", "--timeout", "0.3", "loop0").Refused($"loopctl: {_loopd.Device(0)}: {sentence}");
        Assert.InRange(clock.Elapsed, TimeSpan.FromSeconds(0.3), TimeSpan.FromSeconds(10));
    }

    /// <summary>Whatever happens between the start of the program and its first look at the device.</summary>
    [Fact]
    public async Task Wait_misses_nothing()
    {
        using ControlClient client = _loopd.Connect();
        using FileDescriptor file = FileDescriptor.Open(_image, OpenFlags.ReadWrite);
        for (int round = 0; round < 30; round++)
        {
            client.Configure(new ConfigureRequest { BackingFile = file, Device = 2 });
            Task<ShellResult> cleared = Task.Run(() => _loopd.Control("wait", "--timeout", "20", "2"));
            await Task.Delay(round * 5, TestContext.Current.CancellationToken);
            client.Clear(2);
            (await cleared).Succeeded();

            Task<ShellResult> bound = Task.Run(() => _loopd.Control("wait", "--bound", "--timeout", "20", "2"));
            await Task.Delay(round * 5, TestContext.Current.CancellationToken);
            client.Configure(new ConfigureRequest { BackingFile = file, Device = 2 });
            (await bound).Succeeded();
            client.Clear(2);
        }
    }

    [Fact]
    public async Task Wait_ends_with_the_daemon()
    {
        using var loopd = new Loopd();
        string image = loopd.MakeFile("disk.img", 4096);
        loopd.Bind(image);
        int before = loopd.OpenDescriptors();
        Task<ShellResult> cleared = Task.Run(() => loopd.Control("wait", "loop0")), bound = Task.Run(() => loopd.Control("wait", "--bound", "loop1"));
        Loopd.WaitUntil(() => loopd.OpenDescriptors() >= before + 4, "both have their two connections");
        loopd.Stop();
        (await cleared).Succeeded();
        (await bound).Refused("the daemon has ended");
        loopd.Control("wait", "loop0").Refused($"no daemon answers on {loopd.Socket}");
    }

    [Fact]
    public void Monitor_prints_a_line_for_each_event_at_once()
    {
        using Process monitor = Monitor();
        AssertLine("- ready", monitor);
        string device = _loopd.Device(9);
        _loopd.Control("-P", "--passthrough=off", "loop9", _image).Succeeded();
        AssertLine($"{device} added", monitor);
        AssertLine($"{device} bound {_image}, 1048576 bytes", monitor);
        using (FileDescriptor image = FileDescriptor.Open(_image, OpenFlags.ReadWrite))
        {
            Assert.Equal(Errno.None, image.SetLength(2 << 20));
            _loopd.Control("-c", "loop9").Succeeded();
            AssertLine($"{device} resized 2097152 bytes", monitor);
            AssertLine($"{device} scanned 0 partitions", monitor);
            Assert.Equal(Errno.None, image.SetLength(4096));
        }
        using (FileDescriptor file = FileDescriptor.Open(device, OpenFlags.ReadOnly | FileDescriptor.Direct))
            Assert.Equal(Errno.EIO, file.ReadAt(65536, new byte[4096], out _));
        AssertLine($"{device} failed read of 4096 bytes at 65536: EIO", monitor);
        _loopd.Control("-d", "loop9").Succeeded();
        AssertLine($"{device} cleared {_image}", monitor);
        _loopd.Control("--remove", "loop9").Succeeded();
        AssertLine($"{device} removed", monitor);
        End(monitor, "INT");
    }

    [Fact]
    public void Monitor_prints_JSON_and_only_what_is_asked_for()
    {
        using Process monitor = Monitor("--json", "loop1", _loopd.Device(2));
        JsonElement ready = JsonDocument.Parse(Next(monitor)).RootElement;
        Assert.Equal("ready", ready.GetProperty("event").GetString());
        Assert.InRange(ready.GetProperty("time").GetDateTime(), DateTime.UtcNow.AddMinutes(-1), DateTime.UtcNow.AddMinutes(1));
        foreach (string device in (string[])["loop0", "loop2", "loop1"])
            _loopd.Control(device, _image).Succeeded();
        foreach (int number in (int[])[2, 1])
        {
            JsonElement bound = JsonDocument.Parse(Next(monitor)).RootElement;
            Assert.Equal(("bound", _loopd.Device(number), _image, 1 << 20), (
                bound.GetProperty("event").GetString(), bound.GetProperty("name").GetString(), bound.GetProperty("back-file").GetString(), bound.GetProperty("size").GetInt64()));
        }
        End(monitor, "TERM");
    }

    [Fact]
    public void Monitor_ends_with_the_daemon()
    {
        using var loopd = new Loopd();
        using var monitor = Process.Start(new ProcessStartInfo(Loopd.ControlProgram, ["--control", loopd.Socket, "monitor"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        Assert.EndsWith(" - ready", Next(monitor), StringComparison.Ordinal);
        loopd.Stop();
        Assert.True(monitor.WaitForExit(TimeSpan.FromSeconds(20)));
        Assert.Equal((1, "loopctl: the daemon has ended\n"), (monitor.ExitCode, monitor.StandardError.ReadToEnd()));
    }

    /// <summary>A file name may hold anything, and still makes one line.</summary>
    [Fact]
    public void A_newline_in_a_name_makes_no_line_of_its_own()
    {
        string image = _loopd.MakeFile("two\nlines.img", 4096);
        using Process monitor = Monitor();
        AssertLine("- ready", monitor);
        string device = _loopd.Bind(image);
        AssertLine($"{device} bound {image.Replace("\n", @"\x0a", StringComparison.Ordinal)}, 4096 bytes", monitor);
        Assert.Contains($"  backing file    {image.Replace("\n", @"\x0a", StringComparison.Ordinal)}\n", _loopd.Control("info", "0").Output, StringComparison.Ordinal);
        End(monitor, "INT");
    }

    /// <summary>The scripts ask loopctl, and loopctl the daemon.</summary>
    [Theory]
    [InlineData("bash")]
    [InlineData("fish")]
    public void Shells_complete_bound_devices_and_transfers(string shell)
    {
        Requirements.SkipUnlessInstalled(shell);
        _loopd.Control("loop3", _image).Succeeded();
        _loopd.Control("loop5", _image).Succeeded();
        foreach (string words in (string[])["-d", "-d loop3", "-c", "-l", "info", "wait", "rescan", "--remove", "monitor"])
            Assert.Equal(["loop3", "loop5"], Completed(shell, $"loopctl {words} lo"));
        Assert.Equal([_loopd.Device(3), _loopd.Device(5)], Completed(shell, $"loopctl -d {_loopd.Mount}/"));
        Assert.Equal(["identity"], Completed(shell, "loopctl -e id"));
        Assert.Equal(["xor"], Completed(shell, "loopctl mount -r --encryption x"));
    }

    private static (string, string) Printed(ShellResult result) => (result.Output, result.Error);

    private string[] Completed(string shell, string line)
    {
        const string InBash = """
            source <(loopctl completion bash)
            read -ra COMP_WORDS <<< "$1"
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            _loopctl loopctl
            printf '%s\n' "${COMPREPLY[@]}"
            """;
        const string InFish = @"loopctl completion fish | source; complete -C $argv[1] | string replace -r '\t.*' ''";
        string[] arguments = shell == "bash" ? ["-c", InBash, "test", line] : ["-c", InFish, line];
        ShellResult result = Shell.Run(Shell.DefaultTimeout, shell, arguments, new Dictionary<string, string>
        {
            ["PATH"] = $"{Path.GetDirectoryName(Loopd.ControlProgram)}:{Environment.GetEnvironmentVariable("PATH")}",
            ["LOOPD_CONTROL"] = _loopd.Socket,
        });
        Assert.Equal("", result.Succeeded().Error);
        return [.. result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Order(StringComparer.Ordinal)];
    }

    private Process Monitor(params string[] words) => Process.Start(
        new ProcessStartInfo(Loopd.ControlProgram, ["--control", _loopd.Socket, "monitor", .. words]) { RedirectStandardOutput = true })!;

    private static string Next(Process monitor)
    {
        Task<string?> line = monitor.StandardOutput.ReadLineAsync();
        Assert.True(line.Wait(TimeSpan.FromSeconds(20)), "no event comes");
        return line.Result ?? "";
    }

    private static void AssertLine(string expected, Process monitor)
    {
        string line = Next(monitor);
        Assert.Matches(@"^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} ", line);
        Assert.Equal(expected, line[24..]);
    }

    private static void End(Process monitor, string signal)
    {
        Shell.Run("kill", "-s", signal, monitor.Id.ToString(CultureInfo.InvariantCulture)).Succeeded();
        Assert.True(monitor.WaitForExit(TimeSpan.FromSeconds(20)));
        Assert.Equal(0, monitor.ExitCode);
    }
}
