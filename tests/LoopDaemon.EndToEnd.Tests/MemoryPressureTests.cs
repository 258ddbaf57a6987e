using System.Diagnostics;
using System.Globalization;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>A writer that may have little memory dirties much more than that. The kernel frees it by writing through the daemon,
/// which must never wait for that memory itself, dead or alive.</summary>
public sealed class MemoryPressureTests
{
    private const int LimitMib = 96;
    private const int WrittenMib = 1024;

    [Fact]
    public void A_writer_in_a_small_memory_cgroup_comes_to_its_end_though_the_daemon_dies()
    {
        Requirements.SkipUnlessKernelLoop();
        Requirements.SkipUnlessFileSystem("ext4");
        Requirements.SkipUnlessInstalled("mkfs.ext4", "losetup", "e2fsck");
        using var group = MemoryGroup.Make(LimitMib << 20);
        using var loopd = new Loopd("--supervise");
        string[] arguments = [.. TransferStack.Make(loopd, "xor").Arguments, loopd.MakeSparseFile("disk.img", 1536L << 20)];
        string device = loopd.Bind(arguments);
        Shell.Run("mkfs.ext4", "-q", "-F", device).Succeeded();
        using var kernelLoop = new KernelLoopDevice(device, "--direct-io=on");
        using var directory = new MountDirectory(loopd);
        Shell.Run("mount", kernelLoop.Path, directory.Path).Succeeded();
        // AES of zeros: as fast as the disk, and no two blocks alike.
        using Process writer = Process.Start(new ProcessStartInfo("bash", ["-c", $"""
            set -eu -o pipefail
            echo $$ > '{group.Processes}'
            openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2> /dev/null | head -c {WrittenMib}M > '{directory.Path}/big' || [ -s '{directory.Path}/big' ]
            sync '{directory.Path}/big'
            """]) { RedirectStandardError = true })!;
        int kills = 0;
        for (var clock = Stopwatch.StartNew(); !writer.WaitForExit(TimeSpan.FromMilliseconds(700)); kills++)
        {
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(180), $"the writer hangs after {kills} kills");
            loopd.Replace("KILL");
        }
        Assert.True(writer.ExitCode == 0, writer.StandardError.ReadToEnd());
        Assert.True(kills > 0);
        Assert.True(group.TimesReached > 0, "the writer never came near its limit");
        directory.Unmount();
        Shell.Run("mount", "-o", "ro", kernelLoop.Path, directory.Path).Succeeded();
        Assert.Equal(
            Shell.Bash($"(openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2> /dev/null || true) | head -c {WrittenMib}M | sha256sum || true"),
            Shell.Bash($"sha256sum < '{directory.Path}/big'"));
        directory.Unmount();
        Shell.Run("e2fsck", "-fn", kernelLoop.Path).Succeeded();
    }

    /// <summary>A cgroup with a limit of memory, of either version.</summary>
    private sealed class MemoryGroup : IDisposable
    {
        private readonly string _path;

        private MemoryGroup(string path) => _path = path;

        internal string Processes => Path.Combine(_path, "cgroup.procs");

        internal long TimesReached
        {
            get
            {
                string first = Path.Combine(_path, "memory.failcnt"), second = Path.Combine(_path, "memory.events");
                return File.Exists(first)
                    ? long.Parse(File.ReadAllText(first), CultureInfo.InvariantCulture)
                    : long.Parse(File.ReadLines(second).Single(line => line.StartsWith("max ", StringComparison.Ordinal))[4..], CultureInfo.InvariantCulture);
            }
        }

        internal static MemoryGroup Make(int limitBytes)
        {
            const string First = "/sys/fs/cgroup/memory", Second = "/sys/fs/cgroup";
            bool isFirst = File.Exists(Path.Combine(First, "memory.limit_in_bytes"));
            string root = isFirst ? First : Second;
            Assert.SkipUnless(isFirst || File.Exists(Path.Combine(Second, "cgroup.subtree_control")), "needs memory cgroups");
            string path = Path.Combine(root, $"loopd-test-{Environment.ProcessId}");
            try
            {
                if (!isFirst)
                    File.WriteAllText(Path.Combine(Second, "cgroup.subtree_control"), "+memory");
                Directory.CreateDirectory(path);
                File.WriteAllText(Path.Combine(path, isFirst ? "memory.limit_in_bytes" : "memory.max"), $"{limitBytes}");
            }
            catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
            {
                Assert.Skip($"no memory cgroup can be made here: {refused.Message}");
            }
            return new MemoryGroup(path);
        }

        public void Dispose() => Loopd.WaitUntil(TryRemove, "the memory cgroup is empty");

        private bool TryRemove()
        {
            try
            {
                Directory.Delete(_path);
                return true;
            }
            catch (IOException)
            {
                return false;
            }
        }
    }
}
