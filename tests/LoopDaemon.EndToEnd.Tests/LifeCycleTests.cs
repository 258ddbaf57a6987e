using System.Text;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>Devices and daemons from their beginning to whatever end.</summary>
public sealed class LifeCycleTests
{
    private const int Size = 1 << 20;

    /// <summary>The mount comes before the host that hears signals.</summary>
    [Theory]
    [InlineData("INT")]
    [InlineData("TERM")]
    public void A_signal_as_soon_as_the_mount_is_there_ends_it_cleanly(string signal)
    {
        Requirements.SkipUnlessRootWithFuse();
        string place = Directory.CreateTempSubdirectory("loopd-e2e-").FullName;
        try
        {
            Shell.Bash(
                $"""
                for i in 1 2 3 4 5; do
                    '{Loopd.Program}' --mount {place}/dev --control {place}/control --log-level warning & daemon=$!
                    until grep -q '^loopd {place}/dev ' /proc/mounts; do kill -0 $daemon; done
                    kill -s {signal} $daemon
                    wait $daemon
                    [ -z "$(ls -A {place})" ]
                done
                """);
        }
        finally
        {
            MountTable.Unmount(Path.Combine(place, "dev"), detach: true);
            Directory.Delete(place, recursive: true);
        }
    }

    [Fact]
    public void Clearing_an_open_device_is_deferred_to_its_last_close()
    {
        using var loopd = new Loopd();
        string device = loopd.Bind(loopd.MakeFile("disk.img", Size));
        using (FileDescriptor.Open(device, OpenFlags.ReadOnly))
        {
            using (FileDescriptor.Open(device, OpenFlags.ReadWrite))
                loopd.Control("-d", device).Succeeded();
            Assert.True(Assert.Single(loopd.List()).Autoclear);
            Assert.Matches($@"(?m)^{device} +0 +0 +1 +0 ", loopd.Control("-l").Succeeded().Output);
            Assert.Equal(Size, new FileInfo(device).Length);
        }
        Loopd.WaitUntil(() => loopd.List().Count == 0, "the device goes with its last close");
        Loopd.WaitUntil(() => new FileInfo(device).Length == 0, "and so does its size", seconds: 2);
    }

    [Fact]
    public void Clearing_twice_is_ENXIO()
    {
        using var loopd = new Loopd();
        string device = loopd.Bind(loopd.MakeFile("disk.img", Size));
        loopd.Control("-d", device).Succeeded();
        loopd.Control("-d", device).Refused($"{device}: detach failed: No such device or address");
        using ControlClient client = loopd.Connect();
        Assert.Equal(Errno.ENXIO, Assert.Throws<ControlException>(() => client.Clear(0)).Errno);
    }

    /// <summary>A shell's background jobs are born with SIGINT ignored, which .NET by itself would leave so.</summary>
    [Fact]
    public void A_script_ends_its_daemon_with_SIGINT()
    {
        Requirements.SkipUnlessRootWithFuse();
        string place = Directory.CreateTempSubdirectory("loopd-script-").FullName;
        Shell.Bash($"""
            '{Loopd.Program}' --mount '{place}/dev' --control '{place}/control' 2> '{place}/log' &
            for i in $(seq 200); do [ ! -S '{place}/control' ] || break; sleep 0.05; done
            kill -s INT $!
            wait $!
            """, timeoutSeconds: 30);
        Assert.Equal(["log"], Directory.GetFileSystemEntries(place).Select(Path.GetFileName));
        Directory.Delete(place, recursive: true);
    }

    [Fact]
    public void A_given_device_is_bound_by_each_of_its_names()
    {
        using var loopd = new Loopd();
        string image = loopd.MakeFile("disk.img", Size);
        loopd.Control("loop3", image).Succeeded();
        loopd.Control("5", image).Succeeded();
        Assert.Equal(loopd.Device(7) + "\n", loopd.Control("--show", loopd.Device(7), image).Succeeded().Output);
        Assert.Equal([3, 5, 7], loopd.List().Select(device => device.Device));
        Assert.Equal(loopd.Device(0) + "\n", loopd.Control("-f").Succeeded().Output);
        loopd.Control("-d", "3", "loop5", loopd.Device(7)).Succeeded();
        Assert.Empty(loopd.List());
    }

    [Fact]
    public void The_next_file_is_never_seen_as_the_one_before()
    {
        using var loopd = new Loopd();
        string device = loopd.Device(0);
        for (int round = 0; round < 10; round++)
        {
            string image = loopd.MakeFile($"{round}.img", Size, seed: round);
            loopd.Control("loop0", image).Succeeded();
            // Through the page cache, twice, the second time out of it.
            Shell.Run("cmp", image, device).Succeeded();
            Shell.Run("cmp", image, device).Succeeded();
            loopd.Control("-d", "loop0").Succeeded();
        }
    }

    [Fact]
    public void A_file_that_is_deleted_while_bound_works_on()
    {
        using var loopd = new Loopd();
        string image = loopd.MakeFile("disk.img", Size);
        byte[] expected = File.ReadAllBytes(image);
        string device = loopd.Bind(image);
        File.Delete(image);
        Assert.Equal(expected, File.ReadAllBytes(device));
        expected[0] ^= 1;
        using (FileDescriptor file = FileDescriptor.Open(device, OpenFlags.ReadWrite))
        {
            Assert.Equal(Errno.None, file.WriteAt(0, expected.AsSpan(0, 1)));
            Assert.Equal(Errno.None, file.Synchronize(dataOnly: false));
        }
        Assert.Equal(expected, File.ReadAllBytes(device));
        loopd.Control("-d", device).Succeeded();
    }

    [Fact]
    public void A_file_cut_short_while_bound_is_EIO_past_its_end_and_said_in_the_log()
    {
        using var loopd = new Loopd();
        string image = loopd.MakeFile("disk.img", Size);
        byte[] expected = File.ReadAllBytes(image);
        string device = loopd.Bind("--passthrough=off", image);
        using (FileStream file = File.OpenWrite(image))
            file.SetLength(Size / 2);
        using (FileDescriptor file = FileDescriptor.Open(device, OpenFlags.ReadOnly))
        {
            byte[] bytes = new byte[4096];
            Assert.Equal(Errno.EIO, file.ReadAt(Size - 4096, bytes, out _));
            Assert.Equal(Errno.None, file.ReadAt((Size / 2) - 4096, bytes, out _));
            Assert.Equal(expected.AsSpan((Size / 2) - 4096, 4096), bytes.AsSpan());
        }
        Loopd.WaitUntil(() => loopd.Log.Contains("ERR loop0: read of ", StringComparison.Ordinal), "the failure is logged");
        Assert.Contains("failed: EIO", loopd.Log, StringComparison.Ordinal);
        Assert.Equal(Size, Assert.Single(loopd.List()).Size);
        loopd.Control("-d", device).Succeeded();
        Loopd.WaitUntil(() => loopd.Log.Contains("loop0 cleared from", StringComparison.Ordinal), "the clear is logged");
        Assert.Matches("loop0 cleared from .* [1-9][0-9]* errors", loopd.Log);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_full_disk_is_told_to_the_writer_and_what_was_taken_is_there(bool direct)
    {
        const int Piece = 64 << 10, Pieces = 128;
        using var loopd = new Loopd();
        string directory = loopd.File("full");
        Directory.CreateDirectory(directory);
        Shell.Bash($"mount -t tmpfs -o size=2m none '{directory}'");
        try
        {
            string image = loopd.MakeSparseFile("full/disk.img", Piece * Pieces);
            string device = loopd.Bind(image);
            var taken = new List<int>();
            using (FileDescriptor file = FileDescriptor.Open(device, direct ? OpenFlags.ReadWrite | FileDescriptor.Direct : OpenFlags.ReadWrite))
            using (var data = PageMemory.Allocate(Piece))
            {
                for (int i = 0; i < Pieces; i++)
                {
                    data.Span(0, Piece).Fill((byte)(i + 1));
                    Errno error = file.WriteAt((long)i * Piece, data.Span(0, Piece));
                    Assert.True(error is Errno.None or Errno.ENOSPC or Errno.EIO, error.Name());
                    if (error == Errno.None)
                        taken.Add(i);
                }
                Assert.Equal(Errno.None, file.Synchronize(dataOnly: false));
            }
            Assert.InRange(taken.Count, 16, 32);
            loopd.Control("-d", device).Succeeded();
            // Bound anew, nothing comes out of the page cache.
            loopd.Control("loop0", image).Succeeded();
            byte[] bytes = File.ReadAllBytes(device);
            Assert.All(taken, i => Assert.Equal(-1, bytes.AsSpan(i * Piece, Piece).IndexOfAnyExcept((byte)(i + 1))));
            Assert.Contains("No space left on device", Shell.Run("dd", "if=/dev/zero", $"of={device}", "bs=1M", "conv=notrunc,fsync").Error, StringComparison.Ordinal);
            loopd.Control("-d", device).Succeeded();
        }
        finally
        {
            Shell.Run("umount", directory).Succeeded();
        }
    }

    [Theory]
    [InlineData("INT")]
    [InlineData("TERM")]
    public void A_signal_ends_the_daemon_and_leaves_nothing_behind(string signal)
    {
        using var loopd = new Loopd();
        loopd.Bind(loopd.MakeFile("disk.img", Size));
        loopd.Signal(signal);
        Assert.Equal(0, loopd.WaitForExit());
        Assert.Null(MountTable.At(loopd.Mount));
        Assert.Equal(["disk.img"], Directory.EnumerateFileSystemEntries(loopd.Directory).Select(path => Path.GetFileName(path)));
        Assert.EndsWith("ended", loopd.Log.TrimEnd(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_mount_point_that_was_there_before_stays()
    {
        using var loopd = new Loopd();
        string mount = loopd.File("own");
        Directory.CreateDirectory(mount);
        Shell.Bash($"""
            '{Loopd.Program}' --mount '{mount}' --control '{loopd.File("own-control")}' 2>/dev/null & daemon=$!
            for i in $(seq 200); do [ -S '{loopd.File("own-control")}' ] && break; sleep 0.1; done
            kill -TERM $daemon; wait $daemon
            """);
        Assert.Null(MountTable.At(mount));
        Assert.True(Directory.Exists(mount));
    }

    [Fact]
    public void A_second_daemon_on_the_same_socket_is_refused()
    {
        using var loopd = new Loopd();
        string other = loopd.File("other");
        Start("--mount", other, "--control", loopd.Socket).Refused($"another loopd (process {loopd.ProcessId}) serves the control socket {loopd.Socket}");
        Assert.False(Directory.Exists(other));
        Assert.Empty(loopd.List());
    }

    [Fact]
    public void A_second_daemon_on_the_same_mount_is_refused()
    {
        using var loopd = new Loopd();
        string other = loopd.File("other");
        Start("--mount", loopd.Mount, "--control", other).Refused($"another loopd serves {loopd.Mount}");
        Start("--mount", loopd.Mount + "/", "--control", other).Refused($"another loopd serves {loopd.Mount}");
        Assert.False(File.Exists(other));
        Assert.False(File.Exists(other + ".lock"));
        loopd.Bind(loopd.MakeFile("disk.img", Size));
    }

    [Fact]
    public void A_place_where_a_daemon_cannot_be_is_refused_and_left_as_it_is()
    {
        using var loopd = new Loopd();
        string file = loopd.MakeFile("file", 100), other = loopd.File("other"), tmpfs = loopd.File("tmpfs");
        byte[] contents = File.ReadAllBytes(file);
        Start("--mount", file, "--control", other).Refused(file);
        Start("--mount", file + "/dev", "--control", other).Refused(file);
        Start("--mount", other, "--control", file).Refused(file, "is no socket");
        Start("--mount", other, "--control", file + "/control").Refused(file);
        Start("--mount", other, "--control", loopd.File(new string('x', 120))).Refused("too long");
        Directory.CreateDirectory(tmpfs);
        Shell.Bash($"mount -t tmpfs none '{tmpfs}'");
        Start("--mount", tmpfs, "--control", other).Refused($"{tmpfs} is a mount point already (tmpfs)");
        Shell.Run("umount", tmpfs).Succeeded();
        Assert.Equal(contents, File.ReadAllBytes(file));
        Assert.Null(MountTable.At(other));
        Assert.False(Directory.Exists(other));
        Assert.False(File.Exists(other));
    }

    [Fact]
    public void A_killed_daemons_mount_is_cleaned_by_the_next_one_which_names_what_is_left_over()
    {
        Requirements.SkipUnlessRootWithFuse();
        Requirements.SkipUnlessKernelLoop();
        using var loopd = new Loopd();
        string device = loopd.Bind(loopd.MakeFile("disk.img", Size));
        using FileDescriptor kernelDevice = KernelLoop.Attach(device, readOnly: false, out string kernelLoop);
        loopd.Signal("KILL");
        loopd.WaitForExit();
        Assert.Equal(Errno.ENOTCONN, SystemCall.Open(loopd.Mount, OpenFlags.ReadOnly));
        loopd.Control("-l").Refused($"no daemon answers on {loopd.Socket}");

        loopd.StartAgain();
        Loopd.WaitUntil(() => loopd.Log.Split("INF ready:").Length == 3, "the second daemon is ready");
        Assert.Contains($"{loopd.Mount} was the mount of a loopd that has died; it is cleaned", loopd.Log, StringComparison.Ordinal);
        Assert.Contains($"{kernelLoop} is left over on {device}", loopd.Log, StringComparison.Ordinal);
        Assert.Empty(loopd.List());
        loopd.Bind(loopd.File("disk.img"));
    }

    [Fact]
    public void An_interrupted_daemon_serves_what_is_open_until_the_last_close()
    {
        using var loopd = new Loopd();
        string image = loopd.MakeFile("disk.img", Size);
        string device = loopd.Bind(image);
        byte[] bytes = new byte[4096];
        using (FileDescriptor file = FileDescriptor.Open(device, OpenFlags.ReadWrite))
        {
            loopd.Signal("INT");
            Loopd.WaitUntil(() => loopd.Log.Contains($"(process {Environment.ProcessId}); serving until the last close", StringComparison.Ordinal), "the daemon says what is open, and by whom");
            Loopd.WaitUntil(() => MountTable.At(loopd.Mount) is null, "the mount goes out of sight");
            Assert.Equal(Errno.None, file.WriteAt(4096, "still here"u8));
            Assert.Equal(Errno.None, file.Synchronize(dataOnly: false));
            Assert.Equal(Errno.None, file.ReadAt(Size - 4096, bytes, out int count));
            Assert.Equal(4096, count);
            Assert.False(loopd.HasExited);
            loopd.Control("-l").Refused("no daemon answers");
        }
        Assert.Equal(0, loopd.WaitForExit());
        Assert.Equal("still here"u8, File.ReadAllBytes(image).AsSpan(4096, 10));
        Assert.False(Directory.Exists(loopd.Mount));
    }

    [Theory]
    [InlineData("INT")]
    [InlineData("TERM")]
    public void A_second_signal_ends_the_daemon_at_once(string signal)
    {
        using var loopd = new Loopd();
        string device = loopd.Bind("--passthrough=off", loopd.MakeFile("disk.img", Size));
        using FileDescriptor file = FileDescriptor.Open(device, OpenFlags.ReadWrite);
        loopd.Signal("INT");
        Loopd.WaitUntil(() => MountTable.At(loopd.Mount) is null, "the mount goes out of sight");
        loopd.Signal(signal);
        Assert.Equal(1, loopd.WaitForExit(seconds: 5));
        Assert.Matches($@"ended while open: loop0 by .* \(process {Environment.ProcessId}\)\n", loopd.Log);
        Assert.NotEqual(Errno.None, file.ReadAt(0, new byte[512], out _));
    }

    [Fact]
    public void A_kernel_loop_device_on_top_is_named_as_the_holder()
    {
        Requirements.SkipUnlessRootWithFuse();
        Requirements.SkipUnlessKernelLoop();
        using var loopd = new Loopd();
        string device = loopd.Bind(loopd.MakeFile("disk.img", Size));
        using (KernelLoop.Attach(device, readOnly: false, out string kernelLoop))
        {
            loopd.Signal("INT");
            Loopd.WaitUntil(() => loopd.Log.Contains($"still open: loop0 by {kernelLoop};", StringComparison.Ordinal), "the daemon names the holder");
        }
        Assert.Equal(0, loopd.WaitForExit());
    }

    [Fact]
    public void Variables_stand_in_for_options()
    {
        using var loopd = new Loopd();
        string mount = loopd.File("by variable"), socket = loopd.File("by-variable");
        string listed = Shell.Bash($"""
            LOOPD_MOUNT='{mount}' LOOPD_CONTROL='{socket}' LOOPD_MAX_LOOP=3 LOOPD_THREADS=1 LOOPD_CONTROL_MODE=0660 LOOPD_LOG_LEVEL=error '{Loopd.Program}' 2>&1 & daemon=$!
            for i in $(seq 200); do [ -S '{socket}' ] && break; sleep 0.1; done
            ls '{mount}'; stat -c %a '{socket}'
            LOOPD_CONTROL='{socket}' '{Loopd.ControlProgram}' -f
            kill -TERM $daemon; wait $daemon
            """);
        // At the level error it logs nothing.
        Assert.Equal($"loop0\nloop1\nloop2\n660\n{mount}/loop0\n", listed);
    }

    [Fact]
    public void An_option_goes_before_its_variable()
    {
        using var loopd = new Loopd();
        string mount = loopd.File("by option"), socket = loopd.File("by-option");
        Assert.Equal("loop0\n", Shell.Bash($"""
            LOOPD_MAX_LOOP=nonsense '{Loopd.Program}' --max-loop 1 --mount '{mount}' --control '{socket}' 2>/dev/null & daemon=$!
            for i in $(seq 200); do [ -S '{socket}' ] && break; sleep 0.1; done
            ls '{mount}'
            kill -TERM $daemon; wait $daemon
            """));
    }

    [Theory]
    [InlineData("--max-loop", "0")]
    [InlineData("--max-loop", "65537")]
    [InlineData("--max-loop", "many")]
    [InlineData("--threads", "0")]
    [InlineData("--threads", "65")]
    [InlineData("--control-mode", "0777")]
    [InlineData("--control-mode", "rw")]
    [InlineData("--log-level", "loud")]
    [InlineData("--log-level", "2")]
    public void A_bad_option_or_variable_is_named(string option, string value)
    {
        Requirements.SkipUnlessRootWithFuse();
        string nowhere = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        Start("--mount", nowhere, "--control", nowhere, option, value).Refused(option, $"\"{value}\"");
        string variable = "LOOPD_" + option[2..].Replace('-', '_').ToUpperInvariant();
        Shell.Run(Shell.DefaultTimeout, Loopd.Program, ["--mount", nowhere, "--control", nowhere], new Dictionary<string, string> { [variable] = value })
            .Refused(variable, $"\"{value}\"");
        Assert.False(Directory.Exists(nowhere));
        Assert.False(File.Exists(nowhere + ".lock"));
    }

    [Theory]
    [InlineData("--nope")]
    [InlineData("operand")]
    [InlineData("--mount")]
    [InlineData("--mount", "")]
    [InlineData("@response")]
    public void A_bad_command_line_is_refused(params string[] arguments)
    {
        Requirements.SkipUnlessRootWithFuse();
        Start(arguments).Refused(arguments[0]);
    }

    [Fact]
    public async Task One_thread_serves_many_at_a_time()
    {
        using var loopd = new Loopd("--threads", "1");
        string image = loopd.MakeFile("disk.img", 8 * Size);
        string device = loopd.Bind(image);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Task.Run(() => Shell.Run("cmp", image, device).Succeeded())));
        await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Task.Run(() =>
            Shell.Run("dd", "if=/dev/zero", $"of={device}", "bs=1M", "count=1", $"seek={i}", "conv=notrunc,fsync").Succeeded())));
        Assert.Equal(-1, File.ReadAllBytes(image).AsSpan().IndexOfAnyExcept((byte)0));
        loopd.Control("-d", device).Succeeded();
        Assert.Equal(0, loopd.Stop());
    }

    [Fact]
    public void A_mount_that_is_taken_away_ends_the_daemon_with_1_and_a_word_in_the_log()
    {
        using var loopd = new Loopd();
        loopd.Bind(loopd.MakeFile("disk.img", Size));
        Shell.Run("umount", loopd.Mount).Succeeded();
        Assert.Equal(1, loopd.WaitForExit());
        Assert.Contains($"WRN {loopd.Mount} was unmounted from outside: ending", loopd.Log, StringComparison.Ordinal);
        Assert.Equal(["disk.img"], Directory.EnumerateFileSystemEntries(loopd.Directory).Select(path => Path.GetFileName(path)));
    }

    [Fact]
    public void Each_bind_and_clear_is_one_line_in_the_log()
    {
        using var loopd = new Loopd();
        string image = loopd.MakeFile("disk.img", Size), key = loopd.MakeFile("disk.key", 32);
        loopd.Control("-f", image, "-o", "4096", "--sizelimit", "512K", "-e", "xor", "--key-file", key).Succeeded();
        loopd.Control("-r", "loop4", image).Succeeded();
        loopd.Control("-d", "loop0", "loop4").Succeeded();
        Assert.Equal(0, loopd.Stop());
        string[] lines = [.. loopd.Log.Split('\n').Where(line => line.Contains(image, StringComparison.Ordinal))
            .Select(line => line[(line.IndexOf("INF ", StringComparison.Ordinal) + 4)..])];
        Assert.Equal(
            [
                $"loop0 bound to {image}, offset 4096, 524288 bytes, xor, read-write, for user 0",
                $"loop4 bound to {image}, offset 0, {Size} bytes, identity, read-only, for user 0",
                $"loop0 cleared from {image} after 0 reads, 0 writes, 0 errors",
                $"loop4 cleared from {image} after 0 reads, 0 writes, 0 errors",
            ], lines);
    }

    [Fact]
    public void A_newline_in_a_file_name_makes_no_line_of_its_own()
    {
        using var loopd = new Loopd();
        string image = loopd.MakeFile("disk\nloop7 bound to nothing.img", Size);
        loopd.Bind(image);
        string printed = image.Replace("\n", @"\x0a", StringComparison.Ordinal);
        Assert.Equal(2, loopd.Control("-l").Succeeded().Output.TrimEnd().Split('\n').Length);
        Assert.Contains(printed, loopd.Control("-l").Output, StringComparison.Ordinal);
        loopd.Control("-d", "loop0").Succeeded();
        loopd.Stop();
        Assert.Contains($"INF loop0 bound to {printed}, ", loopd.Log, StringComparison.Ordinal);
        Assert.Contains($"INF loop0 cleared from {printed} ", loopd.Log, StringComparison.Ordinal);
        Assert.DoesNotMatch("(?m)^loop7", loopd.Log);
    }

    [Fact]
    public void A_list_of_nothing_is_what_losetup_prints()
    {
        using var loopd = new Loopd();
        Assert.Equal("", loopd.Control("-l").Succeeded().Output);
        Assert.Equal("{\n   \"loopdevices\": [\n\n   ]\n}\n", loopd.Control("-J").Succeeded().Output);
    }

    [Fact]
    public void A_key_is_in_no_log_no_command_line_and_no_environment()
    {
        using var loopd = new Loopd("--log-level", "verbose");
        const string Key = "correct horse battery staple 0123456789";
        string image = loopd.MakeFile("disk.img", Size), key = loopd.File("disk.key");
        File.WriteAllText(key, Key);
        string device = loopd.Bind(image, "-e", "xor", "--key-file", key);
        string readable = loopd.Bind(image, "-e", $"xor:key-file={key}", "-e", $"xor:key-file={key}");
        Assert.NotEqual(0, Shell.Run("cmp", "-s", image, device).ExitCode);
        Shell.Run("cmp", image, readable).Succeeded();
        loopd.Control("-f", image, "-e", "xor", "--key-file", key, "-o", "100").Refused(image);
        string lists = loopd.Control("-l").Output + loopd.Control("-a").Output + loopd.Control("-J").Output;
        string process = File.ReadAllText($"/proc/{loopd.ProcessId}/cmdline") + File.ReadAllText($"/proc/{loopd.ProcessId}/environ");
        loopd.Control("-d", device, readable).Succeeded();
        loopd.Stop();
        byte[] bytes = Encoding.ASCII.GetBytes(Key);
        string[] forms = [Key, Key[..8], Convert.ToHexString(bytes)[..16], Convert.ToBase64String(bytes)[..8], BitConverter.ToString(bytes)[..16]];
        Assert.All(forms, form => Assert.DoesNotContain(form, loopd.Log + lists + process, StringComparison.OrdinalIgnoreCase));
        Assert.Contains("xor", loopd.Log, StringComparison.Ordinal);
    }

    private static ShellResult Start(params string[] arguments) => Shell.Run(TimeSpan.FromSeconds(20), Loopd.Program, arguments);
}
