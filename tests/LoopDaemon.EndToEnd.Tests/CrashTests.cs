using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>What comes back after a daemon's death, and what a supervisor does.</summary>
public sealed class CrashTests
{
    /// <summary>Every kind of binding, told and read before and after.</summary>
    [Theory]
    [InlineData("KILL")]
    [InlineData("TERM")]
    public void Every_device_is_as_it_was(string signal)
    {
        using var loopd = new Loopd("--supervise", "--max-loop", "4");
        string image = loopd.MakeFile("disk.img", 8 << 20), other = loopd.MakeFile("other.img", 1 << 20);
        string table = loopd.MakeSparseFile("parts.img", 16 << 20);
        Shell.Bash($"printf 'label: gpt\\nsize=4M\\nsize=4M\\n' | sfdisk -q '{table}'");
        TransferStack two = TransferStack.Make(loopd, "xor, xor");
        loopd.Bind(image);
        loopd.Bind("-r", "--loop-ref", "a reference", image);
        loopd.Bind(["-o", "4096", "--sizelimit", "1M", "--mode", "0640", .. two.Arguments, image]);
        loopd.Bind("-P", table);
        loopd.Bind("--direct-io=on", "-b", "4096", other);
        loopd.Control("loop9", loopd.MakeFile("tenth.img", 1 << 20)).Succeeded();
        using (FileDescriptor file = FileDescriptor.Open(loopd.Device(3) + "p2", OpenFlags.ReadWrite | FileDescriptor.Direct))
            Assert.Equal(Errno.None, file.WriteAt(0, new byte[4096]));
        string[] before = Everything(loopd);
        foreach (int _ in Enumerable.Range(0, 3))
        {
            loopd.Replace(signal);
            Assert.Equal(before, Everything(loopd));
            // One that is parked notes its counts before it goes.
            Assert.Equal(signal == "TERM" ? 1 : 0, loopd.List()[3].Traffic.Writes);
        }
        loopd.Control("-D").Succeeded();
        Assert.Empty(loopd.List());
        loopd.Replace(signal);
        Assert.Empty(loopd.List());
        Assert.Equal(0, loopd.Stop());
        Assert.False(Directory.Exists(loopd.Mount));
    }

    [Fact]
    public void Open_files_stay_open_and_are_counted()
    {
        using var loopd = new Loopd("--supervise");
        string plain = loopd.Bind(loopd.MakeFile("plain.img", 1 << 20)), xor = loopd.Bind([.. TransferStack.Make(loopd, "xor").Arguments, loopd.MakeFile("xor.img", 1 << 20)]);
        var open = new List<FileDescriptor>();
        foreach (string device in (string[])[plain, xor, xor, xor])
            open.Add(FileDescriptor.Open(device, OpenFlags.ReadWrite));
        foreach (int _ in Enumerable.Range(0, 3))
        {
            loopd.Replace("KILL");
            Assert.Equal([1, 3], loopd.List().Select(device => device.Openers));
        }
        Assert.True(loopd.List()[0].Passthrough.Active || !loopd.Log.Contains("passthrough", StringComparison.Ordinal));
        // Cleared at the last close, and not before.
        loopd.Control("-d", plain, xor).Succeeded();
        open[1].Dispose();
        loopd.Replace("KILL");
        Assert.Equal([1, 2], loopd.List().Select(device => device.Openers));
        Assert.Equal(Errno.None, open[3].WriteAt(512, new byte[512]));
        open.ForEach(file => file.Dispose());
        Loopd.WaitUntil(() => loopd.List().Count == 0, "the last close clears the devices");
    }

    /// <summary>Opens and closes in all modes, while daemons die: in the end nobody has anything open.</summary>
    [Fact]
    public async Task No_open_and_no_close_is_counted_twice_or_lost()
    {
        using var loopd = new Loopd("--supervise");
        string plain = loopd.Bind(loopd.MakeFile("plain.img", 1 << 20)), xor = loopd.Bind([.. TransferStack.Make(loopd, "xor").Arguments, loopd.MakeFile("xor.img", 1 << 20)]);
        using var stop = new CancellationTokenSource();
        Task<int>[] openers = [.. Enumerable.Range(0, 6).Select(i => Task.Run(() => OpenAndClose(i % 2 == 0 ? plain : xor, i % 3 == 0, stop.Token)))];
        foreach (int _ in Enumerable.Range(0, 12))
        {
            Thread.Sleep(Random.Shared.Next(10, 200));
            loopd.Replace("KILL");
        }
        await stop.CancelAsync();
        Assert.All(await Task.WhenAll(openers).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken), opens => Assert.True(opens > 0));
        Loopd.WaitUntil(() => loopd.List().All(device => device.Openers == 0), "all is closed");
        loopd.Control("-d", plain, xor).Succeeded();
        Assert.Empty(loopd.List());
    }

    [Fact]
    public async Task A_daemon_killed_while_it_binds_and_clears_leaves_a_consistent_table()
    {
        using var loopd = new Loopd("--supervise", "--max-loop", "4");
        string image = loopd.MakeFile("disk.img", 1 << 20);
        string[] key = TransferStack.Make(loopd, "xor").Arguments;
        using var stop = new CancellationTokenSource();
        Task[] binders = [.. Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                ShellResult bound = loopd.Control(["-f", "--show", .. key, image]);
                if (bound.ExitCode == 0)
                    loopd.Control("-d", bound.Output.Trim());
            }
        }))];
        foreach (int _ in Enumerable.Range(0, 10))
        {
            Thread.Sleep(Random.Shared.Next(10, 300));
            loopd.Replace("KILL");
        }
        await stop.CancelAsync();
        await Task.WhenAll(binders).WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        // Those whose answer a kill has swallowed are bound, and whole.
        byte[] content = await File.ReadAllBytesAsync(loopd.Bind([.. key, image]), TestContext.Current.CancellationToken);
        foreach (DeviceStatus device in loopd.List())
            Assert.Equal(content, await File.ReadAllBytesAsync(device.Path, TestContext.Current.CancellationToken));
        loopd.Control("-D").Succeeded();
        Assert.Empty(loopd.List());
        loopd.Replace("KILL");
        Assert.Empty(loopd.List());
    }

    /// <summary>Whoever calls while no daemon is there waits for the next one.</summary>
    [Fact]
    public void No_caller_is_turned_away_between_two_daemons()
    {
        using var loopd = new Loopd("--supervise");
        loopd.Bind(loopd.MakeFile("disk.img", 1 << 20));
        foreach (string signal in (string[])["TERM", "KILL", "TERM", "KILL"])
        {
            int before = loopd.DaemonProcessId;
            Shell.Run("kill", "-s", signal, before.ToString(CultureInfo.InvariantCulture)).Succeeded();
            // A call that the daemon was just about to answer is lost with it.
            Loopd.WaitUntil(() => StateOf($"/proc/{before}") is 'Z' or 'X', "the daemon goes");
            Assert.Contains("disk.img", loopd.Control("-l").Succeeded().Output, StringComparison.Ordinal);
        }
    }

    /// <summary>Each next one is killed as soon as it has begun to take over, some before and some after they have gone on.</summary>
    [Fact]
    public void Daemons_killed_while_they_take_over_lose_nothing()
    {
        using var loopd = new Loopd("--supervise");
        string device = loopd.Bind([.. TransferStack.Make(loopd, "xor").Arguments, loopd.MakeSparseFile("disk.img", 16 << 20)]);
        using Process writer = Process.Start(new ProcessStartInfo("fio",
            [$"--filename={device}", "--name=verified", "--rw=randrw", "--bs=4k", "--size=16m", "--ioengine=libaio", "--iodepth=16", "--direct=1",
                "--verify=crc32c", "--verify_fatal=1", "--verify_state_save=0", "--loops=1000", "--time_based", "--runtime=12", "--minimal"])
        {
            RedirectStandardOutput = true,
        })!;
        foreach (int _ in Enumerable.Range(0, 8))
        {
            int last = 0;
            foreach (int pause in (int[])[0, Random.Shared.Next(0, 30), Random.Shared.Next(0, 120)])
            {
                Loopd.WaitUntil(() => loopd.DaemonProcessId is var now && now != 0 && now != last, "a next daemon");
                last = loopd.DaemonProcessId;
                Thread.Sleep(pause);
                Shell.Run("kill", "-s", "KILL", last.ToString(CultureInfo.InvariantCulture));
            }
            loopd.WaitForAnother(last);
        }
        Assert.True(writer.WaitForExit(TimeSpan.FromSeconds(60)), "a hang");
        Assert.True(writer.ExitCode == 0, writer.StandardOutput.ReadToEnd());
        Assert.Single(loopd.List());
    }

    /// <summary>Nothing is mounted yet, or the kernel's INIT waits for its answer, or the mount is not yet in the store.</summary>
    [Fact]
    public void Daemons_killed_while_they_start_for_the_first_time_are_followed_by_one_that_serves()
    {
        Requirements.SkipUnlessRootWithFuse();
        foreach (int round in Enumerable.Range(0, 6))
        {
            string directory = Directory.CreateTempSubdirectory("loopd-e2e-").FullName, socket = Path.Combine(directory, "control"), mount = Path.Combine(directory, "dev");
            File.WriteAllBytes(Path.Combine(directory, "disk.img"), new byte[1 << 20]);
            using Process supervisor = Process.Start(new ProcessStartInfo(Loopd.Program, ["--supervise", "--mount", mount, "--control", socket]) { RedirectStandardError = true })!;
            var log = new ConcurrentQueue<string>([$"round {round}:"]);
            supervisor.ErrorDataReceived += (_, line) => log.Enqueue(line.Data ?? "");
            supervisor.BeginErrorReadLine();
            try
            {
                foreach (int _ in Enumerable.Range(0, 4))
                {
                    Loopd.WaitUntil(() => Children(supervisor).Length > 0, "a daemon");
                    Thread.Sleep(Random.Shared.Next(20, 250));
                    foreach (string child in Children(supervisor))
                        Shell.Run("kill", "-s", "KILL", child);
                }
                ShellResult bound = new("", 1, "", "");
                Loopd.WaitUntil(() => (bound = Shell.Run(Loopd.ControlProgram, "--control", socket, "-f", "--show", Path.Combine(directory, "disk.img"))).ExitCode == 0, "a daemon serves", 30);
                Shell.Run("cmp", "-n", "1048576", bound.Output.Trim(), "/dev/zero").Succeeded();
                Shell.Run(Loopd.ControlProgram, "--control", socket, "shutdown").Succeeded();
                Assert.True(supervisor.WaitForExit(TimeSpan.FromSeconds(10)));
                Assert.Equal(0, supervisor.ExitCode);
                // The directory may stay: to the last daemon it was there before.
                Assert.DoesNotContain(MountTable.Read(), entry => entry.MountPoint == mount);
            }
            finally
            {
                if (!supervisor.HasExited)
                    Shell.Run("kill", "-s", "INT", supervisor.Id.ToString(CultureInfo.InvariantCulture));
                supervisor.WaitForExit(TimeSpan.FromSeconds(10));
                TestContext.Current.TestOutputHelper?.WriteLine(string.Join('\n', log));
                MountTable.Unmount(mount, detach: true);
                Directory.Delete(directory, recursive: true);
            }
        }
    }

    /// <summary>A killed daemon lingers as long as one of its threads writes; the next one must not begin before.</summary>
    [Fact]
    public void The_next_daemon_waits_for_the_last_threads_of_a_killed_one()
    {
        FreezableDisk.SkipUnlessPossible();
        using var loopd = new Loopd("--supervise");
        using var disk = new FreezableDisk(loopd.File("frozen"));
        string device = loopd.Bind([.. TransferStack.Make(loopd, "xor").Arguments, disk.Image]);
        disk.Freeze();
        using Process writer = Process.Start("dd", ["if=/dev/urandom", $"of={device}", "bs=1M", "count=1", "oflag=direct", "conv=notrunc", "status=none"]);
        int before = loopd.DaemonProcessId;
        Loopd.WaitUntil(() => Directory.EnumerateDirectories($"/proc/{before}/task").Any(task => StateOf(task) == 'D'), "a thread of the daemon hangs in its write");
        Shell.Run("kill", "-s", "KILL", before.ToString(CultureInfo.InvariantCulture)).Succeeded();
        Assert.False(writer.WaitForExit(TimeSpan.FromSeconds(1)));
        Assert.Equal(before, loopd.DaemonProcessId);
        disk.Thaw();
        loopd.WaitForAnother(before);
        Assert.True(writer.WaitForExit(TimeSpan.FromSeconds(20)));
        Assert.Equal(0, writer.ExitCode);
        loopd.Control("-d", device).Succeeded();
    }

    [Fact]
    public void A_daemon_that_hangs_is_ended_and_followed_by_the_next()
    {
        using var loopd = new Loopd("--supervise", "--watchdog", "2");
        string device = loopd.Bind([.. TransferStack.Make(loopd, "xor").Arguments, loopd.MakeFile("disk.img", 1 << 20)]);
        int before = loopd.DaemonProcessId;
        Shell.Run("kill", "-s", "STOP", before.ToString(CultureInfo.InvariantCulture)).Succeeded();
        using Process reader = Process.Start("dd", [$"if={device}", "of=/dev/null", "bs=4096", "iflag=direct", "status=none"]);
        loopd.WaitForAnother(before, seconds: 40);
        Assert.True(reader.WaitForExit(TimeSpan.FromSeconds(20)));
        Assert.Equal(0, reader.ExitCode);
        Assert.Contains("no sign of life", loopd.Log, StringComparison.Ordinal);
    }

    [Fact]
    public void A_device_that_waits_for_its_disk_is_no_hang()
    {
        FreezableDisk.SkipUnlessPossible();
        using var loopd = new Loopd("--supervise", "--watchdog", "2", "--threads", "1");
        using var disk = new FreezableDisk(loopd.File("frozen"));
        string device = loopd.Bind([.. TransferStack.Make(loopd, "xor").Arguments, disk.Image]);
        disk.Freeze();
        using Process writer = Process.Start("dd", ["if=/dev/urandom", $"of={device}", "bs=1M", "count=1", "oflag=direct", "conv=notrunc", "status=none"]);
        int before = loopd.DaemonProcessId;
        Assert.False(writer.WaitForExit(TimeSpan.FromSeconds(6)));
        disk.Thaw();
        Assert.True(writer.WaitForExit(TimeSpan.FromSeconds(20)));
        Assert.Equal(before, loopd.DaemonProcessId);
        loopd.Control("-d", device).Succeeded();
    }

    [Fact]
    public void A_supervisor_upgrades_its_daemon_on_SIGHUP()
    {
        using var loopd = new Loopd("--supervise");
        string device = loopd.Bind(loopd.MakeFile("disk.img", 1 << 20));
        using FileDescriptor open = FileDescriptor.Open(device, OpenFlags.ReadWrite);
        int before = loopd.DaemonProcessId;
        loopd.Signal("HUP");
        loopd.WaitForAnother(before);
        Assert.Equal(Errno.None, open.WriteAt(0, new byte[512]));
        Assert.Contains("makes way", loopd.Log, StringComparison.Ordinal);
        Assert.Contains("is understood: version 1, 1 devices", Shell.Run(Loopd.Program, "--check-state", "--control", loopd.Socket).Succeeded().Output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_supervisors_daemon_that_cannot_start_is_not_started_again()
    {
        Requirements.SkipUnlessRootWithFuse();
        using var loopd = new Loopd();
        ShellResult second = Shell.Run(Loopd.Program, "--supervise", "--mount", loopd.File("second"), "--control", loopd.Socket);
        Assert.Equal(1, second.ExitCode);
        Assert.Contains("another loopd", second.Error, StringComparison.Ordinal);
        Assert.Single(second.Error.TrimEnd().Split('\n'));
        Assert.Equal(1, Shell.Run(Loopd.Program, "--supervise", "--threads", "none").ExitCode);
    }

    /// <summary>Without a store nothing outlives the daemon, and it says so.</summary>
    [Fact]
    public void Without_a_store_there_is_no_state()
    {
        using var loopd = new Loopd();
        Assert.Contains("keeps no state", Shell.Run(Loopd.Program, "--check-state", "--control", loopd.Socket).Succeeded().Output, StringComparison.Ordinal);
        loopd.Signal("TERM");
        Assert.Equal(0, loopd.WaitForExit());
        Assert.Contains("no daemon runs", Shell.Run(Loopd.Program, "--check-state", "--control", loopd.Socket).Succeeded().Output, StringComparison.Ordinal);
    }

    private static int OpenAndClose(string device, bool direct, CancellationToken stop)
    {
        int opens = 0;
        for (; !stop.IsCancellationRequested; opens++)
        {
            using FileDescriptor file = FileDescriptor.Open(device, (opens % 2 == 0 ? OpenFlags.ReadOnly : OpenFlags.ReadWrite) | (direct ? FileDescriptor.Direct : 0));
        }
        return opens;
    }

    private static string[] Children(Process process) =>
        Shell.Run("ps", "-o", "pid=", "--ppid", process.Id.ToString(CultureInfo.InvariantCulture)).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    /// <summary>The letter of proc_pid_stat(5) for a process or a thread, by its directory in /proc; dead (X) is also who goes while we look.</summary>
    private static char StateOf(string directory)
    {
        try
        {
            string stat = File.ReadAllText(Path.Combine(directory, "stat"));
            return stat[stat.LastIndexOf(')') + 2];
        }
        catch (IOException)
        {
            return 'X';
        }
    }

    /// <summary>All but the counts of reads and writes: looking adds to them, and a killed daemon's are lost.</summary>
    private static string[] Everything(Loopd loopd)
    {
        string[] counts = ["reads", "writes", "bytes-read", "bytes-written"];
        return
    [
        .. loopd.Control("-l", "--json", "--output-all").Succeeded().Output.Split('\n')
            .Where(line => !counts.Any(count => line.Contains($"\"{count}\":", StringComparison.Ordinal))),
        .. loopd.List().SelectMany(device => device.Partitions.Select(partition => partition.Path).Append(device.Path))
            .Select(path => $"{path} {Shell.Run("stat", "-c", "%s %a %u %g", path).Succeeded().Output} {Shell.Run("sha256sum", path).Succeeded().Output}"),
    ];
    }

    /// <summary>A backing file whose writes hang until they are let go on. Disposing it does that.</summary>
    private sealed class FreezableDisk : IDisposable
    {
        private readonly string _directory;

        internal FreezableDisk(string directory)
        {
            _directory = directory;
            Directory.CreateDirectory(directory);
            Image = Path.Combine(directory, "disk.img");
            Shell.Bash($"""
                truncate -s 64M '{directory}.img' && mkfs.ext4 -q '{directory}.img' && mount -o loop '{directory}.img' '{directory}'
                head -c 4M /dev/zero > '{Image}' && sync '{Image}'
                """);
        }

        internal string Image { get; }

        internal static void SkipUnlessPossible()
        {
            Requirements.SkipUnlessKernelLoop();
            Requirements.SkipUnlessFileSystem("ext4");
            Requirements.SkipUnlessInstalled("fsfreeze", "mkfs.ext4");
        }

        internal void Freeze() => Shell.Run("fsfreeze", "-f", _directory).Succeeded();

        internal void Thaw() => Shell.Run("fsfreeze", "-u", _directory).Succeeded();

        public void Dispose()
        {
            Shell.Run("fsfreeze", "-u", _directory);
            Shell.Run("umount", "-l", _directory);
        }
    }
}
