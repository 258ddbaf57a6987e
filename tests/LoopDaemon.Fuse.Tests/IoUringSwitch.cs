using LoopDaemon.Linux;

namespace LoopDaemon.Fuse.Tests;

/// <summary>Switches FUSE over io_uring on for the tests that need it, where this user may, and back at their end. The
/// tests of this collection run one after the other, since the switch is the machine's.</summary>
[CollectionDefinition(Name)]
public sealed class IoUringSwitch : ICollectionFixture<IoUringSwitch>, IDisposable
{
    public const string Name = "io_uring";

    private const string Parameter = "/sys/module/fuse/parameters/enable_uring";

    private readonly string? _former;

    public IoUringSwitch()
    {
        if (!Credentials.IsRoot || !File.Exists(Parameter))
            return;
        _former = File.ReadAllText(Parameter);
        Set("Y");
    }

    internal static void Set(string value) => File.WriteAllText(Parameter, value);

    public void Dispose()
    {
        if (_former is not null)
            Set(_former);
    }
}
