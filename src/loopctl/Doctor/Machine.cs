using System.Globalization;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine.Doctor;

/// <summary>What the machine offers to a loopd.</summary>
internal static class Machine
{
    private const string UringSwitch = "/sys/module/fuse/parameters/enable_uring";

    internal static IEnumerable<Finding> Examine()
    {
        yield return Device("/dev/fuse", "fuse", Health.Problem, "there are no devices without it");
        yield return Device("/dev/loop-control", "loop", Health.Warning, "file systems cannot be mounted from a device without it");
        if (!Credentials.IsRoot)
        {
            yield return IsInstalled("fusermount3") ? new Finding(Health.Ok, "fusermount3 is installed, with which users mount")
                : new Finding(Health.Problem, "fusermount3 is not installed, and users cannot mount without it: install the package fuse3");
        }
        yield return Kernel();
        foreach (string limit in (string[])["default_request_timeout", "max_request_timeout"])
        {
            string path = "/proc/sys/fs/fuse/" + limit;
            if (File.Exists(path) && File.ReadAllText(path).Trim() is not "0" and var seconds)
                yield return new Finding(Health.Warning, $"fs.fuse.{limit} is {seconds}: requests fail when a daemon is away for longer: sysctl fs.fuse.{limit}=0");
        }
        yield return LockedMemory();
    }

    private static Finding Device(string path, string module, Health without, string why)
    {
        Errno error = FileDescriptor.TryOpen(path, OpenFlags.ReadWrite, out FileDescriptor? device);
        device?.Dispose();
        return error switch
        {
            Errno.None => new Finding(Health.Ok, $"{path} can be opened"),
            Errno.EACCES or Errno.EPERM when !Credentials.IsRoot && module == "loop" => new Finding(Health.Ok, $"{path} is root's: users mount nothing from a device"),
            Errno.ENOENT => new Finding(without, $"there is no {path}, and {why}: modprobe {module}"),
            _ => new Finding(without, $"{path} cannot be opened ({error.Describe()}), and {why}"),
        };
    }

    private static Finding Kernel()
    {
        Version version = Environment.OSVersion.Version;
        string uring = File.Exists(UringSwitch) ? File.ReadAllText(UringSwitch).Trim() is "Y" or "1" ? ", FUSE over io_uring switched on" : ", FUSE over io_uring switched off" : "";
        string text = string.Create(CultureInfo.InvariantCulture, $"Linux {version.Major}.{version.Minor}");
        return version < new Version(5, 4) ? new Finding(Health.Problem, $"{text} is too old: loopd needs 5.4")
            : version < new Version(6, 9) ? new Finding(Health.Ok, $"{text}: no passthrough, and unanswered requests are recovered without the kernel's help (6.9 has both)")
            : new Finding(Health.Ok, $"{text}: passthrough, unanswered requests are sent again{uring}");
    }

    /// <summary>A reader thread has about two MiB of buffers, which should be locked.</summary>
    private static Finding LockedMemory()
    {
        string? line = File.ReadLines("/proc/self/limits").FirstOrDefault(limit => limit.StartsWith("Max locked memory", StringComparison.Ordinal));
        string soft = line?["Max locked memory".Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries).FirstOrDefault() ?? "unknown";
        return Credentials.IsRoot || soft == "unlimited" || (long.TryParse(soft, CultureInfo.InvariantCulture, out long bytes) && bytes >= 32 << 20)
            ? new Finding(Health.Ok, "a loopd that you start can lock its buffers in memory")
            : new Finding(Health.Warning, $"a loopd that you start cannot lock its buffers in memory (RLIMIT_MEMLOCK is {soft}): ulimit -l 32768, to be safe when memory is short");
    }

    private static bool IsInstalled(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(directory => File.Exists(Path.Combine(directory, program)));
}
