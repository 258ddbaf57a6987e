using System.Diagnostics;
using System.Globalization;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>A file system under verified load, on a kernel loop device on our device, whose daemon is killed over and over: no
/// program may see an error, and not a byte may be lost. LOOPD_TEST_KILLS says how often (15 unless told otherwise).</summary>
public sealed class CrashTortureTests
{
    private static readonly int Kills =
        int.TryParse(Environment.GetEnvironmentVariable("LOOPD_TEST_KILLS"), CultureInfo.InvariantCulture, out int kills) ? kills : 15;

    private readonly Random _random = new();

    /// <summary>Not for every run: the time between two kills is chance's.</summary>
    [Theory]
    [InlineData("xor", "on", "KILL")]
    [InlineData("xor", "off", "KILL")]
    [InlineData("identity", "on", "KILL")]
    [InlineData("xor", "on", "KILL", "--no-resend")]
    [InlineData("xor", "on", "TERM", "--no-resend")]
    public void A_file_system_does_not_notice_that_its_daemon_dies(string transfer, string directIo, string signal, params string[] options)
    {
        Requirements.SkipUnlessKernelLoop();
        Requirements.SkipUnlessFileSystem("ext4");
        Requirements.SkipUnlessInstalled("fio", "mkfs.ext4", "e2fsck", "losetup");
        using var loopd = new Loopd(["--supervise", .. options]);
        string image = loopd.MakeSparseFile("disk.img", 256 << 20);
        string[] arguments = transfer == "identity" ? [image] : [.. TransferStack.Make(loopd, transfer).Arguments, image];
        string device = loopd.Bind(arguments);
        Shell.Run("mkfs.ext4", "-q", "-F", device).Succeeded();
        using var kernelLoop = new KernelLoopDevice(device, $"--direct-io={directIo}");
        using var directory = new MountDirectory(loopd);
        Shell.Run("mount", kernelLoop.Path, directory.Path).Succeeded();
        double start = KernelLog().LastOrDefault().Time;
        Torture(loopd, directory.Path, signal);
        Assert.DoesNotContain(KernelLog(), line => line.Time > start && IsError(line.Message, kernelLoop.Path));
        directory.Unmount();
        Shell.Run("e2fsck", "-fn", kernelLoop.Path).Succeeded();
        kernelLoop.Dispose();
        Assert.DoesNotContain("no slot held it", loopd.Log, StringComparison.Ordinal);
        Assert.DoesNotContain(" ERR loop", loopd.Log, StringComparison.Ordinal);

        // From the disk, by a daemon that has nothing to do with the first.
        Loopd.WaitUntil(() => loopd.Control("-d", device).ExitCode == 0 || !File.Exists(device) || new FileInfo(device).Length == 0, "the device is cleared");
        Assert.Equal(0, loopd.Stop());
        using var fresh = new Loopd();
        string again = fresh.Bind(["-r", .. arguments]);
        Shell.Bash($"""
            mount -o loop,ro,noload '{again}' '{directory.Path}'
            trap "umount '{directory.Path}'" EXIT
            (cd '{directory.Path}' && sha256sum --quiet -c '{loopd.File("sums")}')
            """);
    }

    [Fact]
    public void Readers_of_a_read_only_image_do_not_notice_that_its_daemon_dies()
    {
        Requirements.SkipUnlessKernelLoop();
        Requirements.SkipUnlessFileSystem("squashfs");
        Requirements.SkipUnlessInstalled("mksquashfs", "losetup");
        using var loopd = new Loopd("--supervise", "--passthrough=off");
        string tree = loopd.File("tree"), image = loopd.File("disk.img");
        Directory.CreateDirectory(tree);
        foreach (int i in Enumerable.Range(0, 20))
            loopd.MakeFile($"tree/{i}", 1_000_000, seed: i);
        Shell.Run("mksquashfs", tree, image, "-quiet", "-no-progress").Succeeded();
        string device = loopd.Bind("-r", image);
        using var kernelLoop = new KernelLoopDevice(device, "-r", "--direct-io=on");
        using var directory = new MountDirectory(loopd);
        Shell.Run("mount", "-o", "ro", kernelLoop.Path, directory.Path).Succeeded();
        using Process reader = Start($"""
            cd '{tree}' && sha256sum * > '{loopd.File("sums")}' && cd '{directory.Path}'
            while [ ! -e '{loopd.File("stop")}' ]; do
                echo 3 > /proc/sys/vm/drop_caches
                sha256sum --quiet -c '{loopd.File("sums")}' || exit 1
            done
            """);
        KillRepeatedly(loopd, "KILL");
        File.WriteAllText(loopd.File("stop"), "");
        AssertSucceeds(reader, 60);
    }

    private void Torture(Loopd loopd, string directory, string signal)
    {
        // The job files of fio's verification go where it is started.
        using Process verified = Start($"""
            cd '{loopd.Directory}'
            exec fio --name=verified --directory='{directory}' --rw=randrw --bs=4k-64k --size=24m --numjobs=2 --iodepth=8 --ioengine=libaio \
                --direct=1 --verify=crc32c --verify_fatal=1 --verify_state_save=0 --loops=1000 --time_based --runtime={Kills * 2 + 5} \
                --trigger-file='{loopd.File("enough")}' --minimal
            """);
        using Process writer = Start($"""
            cd '{directory}'
            for ((i = 0; ; i++)); do
                [ -e '{loopd.File("stop")}' ] && break
                n=file$((i % 16))
                [ $((i % 5)) != 0 ] || rm -f $n
                head -c $((RANDOM * 3 + 1)) /dev/urandom > new
                sync new
                sum=$(sha256sum < new)
                mv new $n
                [ "$(sha256sum < $n)" = "$sum" ]
            done
            sync -f .
            sha256sum file* > '{loopd.File("sums")}'
            """);
        KillRepeatedly(loopd, signal);
        // fio takes its file away when it has seen it.
        File.WriteAllText(loopd.File("stop"), "");
        File.WriteAllText(loopd.File("enough"), "");
        AssertSucceeds(writer, 60);
        AssertSucceeds(verified, 120);
    }

    /// <summary>Now and then one is killed while it takes over from the one before.</summary>
    private void KillRepeatedly(Loopd loopd, string signal)
    {
        for (int killed = 0; killed < Kills;)
        {
            Thread.Sleep(_random.Next(20, 600));
            int process = loopd.DaemonProcessId;
            if (process != 0 && Shell.Run("kill", "-s", signal, process.ToString(CultureInfo.InvariantCulture)).ExitCode == 0)
                killed++;
        }
        int last = loopd.DaemonProcessId;
        Loopd.WaitUntil(() => loopd.Control("-l").ExitCode == 0, $"a daemon answers after the last kill (process {last})", seconds: 30);
    }

    private static Process Start(string script) => Process.Start(new ProcessStartInfo("bash", ["-c", "set -eu -o pipefail\n" + script])
    {
        RedirectStandardOutput = true,
        RedirectStandardError = true,
    })!;

    private static void AssertSucceeds(Process process, int seconds)
    {
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        bool ended = process.WaitForExit(TimeSpan.FromSeconds(seconds));
        if (!ended)
            process.Kill(entireProcessTree: true);
        Assert.True(ended, $"not within {seconds} s: a hang");
        Assert.True(process.ExitCode == 0, $"exit code {process.ExitCode}:\n{output.Result}\n{error.Result}");
    }

    /// <summary>What the kernel still has of its log, which drops its oldest lines for new ones, by seconds since it was started.</summary>
    private static IEnumerable<(double Time, string Message)> KernelLog() =>
        from line in Shell.Run("dmesg").Output.Split('\n')
        let end = line.IndexOf(']', StringComparison.Ordinal)
        where line.StartsWith('[') && end > 0
        select (double.Parse(line.AsSpan(1, end - 1), CultureInfo.InvariantCulture), line[(end + 1)..]);

    private static bool IsError(string message, string device) => message.Contains(Path.GetFileName(device), StringComparison.Ordinal)
        && message.Contains("error", StringComparison.OrdinalIgnoreCase)
        && !message.Contains("operation not supported", StringComparison.Ordinal);
}
