using System.Diagnostics;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine.Doctor;

/// <summary>How something answers that may not answer at all.</summary>
internal enum Answer
{
    /// <summary>It works.</summary>
    Fine,
    /// <summary>It fails at once: nobody serves it any more.</summary>
    Dead,
    /// <summary>It does not answer: somebody may be about to.</summary>
    None,
    /// <summary>There is no telling: it is another user's, who alone may look at it, dead or alive.</summary>
    Unknown,
}

/// <summary>Asks with the system's own programs: one that hangs can be left behind, which a thread of this one could not.</summary>
internal static class Probe
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    /// <summary>How a mount answers. What the kernel remembers of it does not count, so something must be asked
    /// for.</summary>
    internal static Answer Mount(string mountPoint) => Run([Errno.ENOTCONN, Errno.ECONNABORTED], "stat", "--cached=never", "-c", "%s", "--", mountPoint);

    /// <summary>How a block device answers a read.</summary>
    internal static Answer BlockDevice(string path) => Run([Errno.EIO], "dd", $"if={path}", "of=/dev/null", "bs=4096", "count=1", "iflag=direct");

    private static Answer Run(IEnumerable<Errno> deaths, string program, params IEnumerable<string> arguments)
    {
        // Not waited for on disposal: what hangs in the kernel hears no signal.
        Process process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            // For errors in the words in which Describe has them.
            Environment = { ["LC_ALL"] = "C" },
        })!;
        if (!process.WaitForExit(Patience))
            return Answer.None;
        if (process.ExitCode == 0)
            return Answer.Fine;
        string error = process.StandardError.ReadToEnd();
        return deaths.Any(death => error.Contains(death.Describe(), StringComparison.Ordinal)) ? Answer.Dead : Answer.Unknown;
    }
}
