using System.Diagnostics;

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
}

/// <summary>Asks with the system's own programs: one that hangs can be left behind, which a thread of this one could not.</summary>
internal static class Probe
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    /// <summary>How a mount answers. What the kernel remembers of it does not count, so something must be asked
    /// for.</summary>
    internal static Answer Mount(string mountPoint) => Run("stat", "--cached=never", "-c", "%s", "--", mountPoint);

    /// <summary>How a block device answers a read.</summary>
    internal static Answer BlockDevice(string path) => Run("dd", $"if={path}", "of=/dev/null", "bs=4096", "count=1", "iflag=direct");

    private static Answer Run(string program, params IEnumerable<string> arguments)
    {
        // Not waited for on disposal: what hangs in the kernel hears no signal.
        Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        return !process.WaitForExit(Patience) ? Answer.None : process.ExitCode == 0 ? Answer.Fine : Answer.Dead;
    }
}
