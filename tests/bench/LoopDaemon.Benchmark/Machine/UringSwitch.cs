namespace LoopDaemon.Benchmark.Machine;

/// <summary>The kernel's switch for FUSE over io_uring (Linux 6.14): on for the run, and as it was afterwards.</summary>
internal sealed class UringSwitch : IDisposable
{
    private const string Parameter = "/sys/module/fuse/parameters/enable_uring";

    private readonly string? _before;

    private UringSwitch(string? before, string? obstacle)
    {
        _before = before;
        Obstacle = obstacle;
    }

    /// <summary>Why the kernel offers no FUSE over io_uring, or null.</summary>
    internal string? Obstacle { get; }

    internal static UringSwitch TurnOn()
    {
        if (!File.Exists(Parameter))
            return new UringSwitch(null, "this kernel has no FUSE over io_uring (no fuse parameter enable_uring)");
        string before = File.ReadAllText(Parameter).Trim();
        if (before == "Y")
            return new UringSwitch(null, null);
        try
        {
            File.WriteAllText(Parameter, "Y");
            return new UringSwitch(before, null);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            return new UringSwitch(null, $"FUSE over io_uring is off and cannot be turned on ({refused.Message})");
        }
    }

    public void Dispose()
    {
        if (_before is not null)
            File.WriteAllText(Parameter, _before);
    }
}
