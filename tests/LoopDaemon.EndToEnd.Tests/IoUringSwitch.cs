using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>Switches FUSE over io_uring on for the tests of a class, and back at their end.</summary>
public sealed class IoUringSwitch : IDisposable
{
    private const string Parameter = "/sys/module/fuse/parameters/enable_uring";

    private readonly string? _former;

    public IoUringSwitch()
    {
        if (!Credentials.IsRoot || !File.Exists(Parameter))
            return;
        _former = File.ReadAllText(Parameter);
        Set(on: true);
    }

    /// <summary>Whether the kernel has such a switch, and this user may turn it.</summary>
    internal bool IsHere => _former is not null;

    internal static void Set(bool on) => File.WriteAllText(Parameter, on ? "Y" : "N");

    public void Dispose()
    {
        if (_former is not null)
            File.WriteAllText(Parameter, _former);
    }
}
