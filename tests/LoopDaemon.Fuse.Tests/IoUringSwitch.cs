using LoopDaemon.Linux;

namespace LoopDaemon.Fuse.Tests;

/// <summary>Switches FUSE over io_uring on for the tests that need it, where this user may, and back at their end. The
/// tests of this collection run one after the other, since the switch is the machine's, and beside no others, since some
/// count this process's descriptors and locked memory.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class IoUringSwitch : ICollectionFixture<IoUringSwitch>, IDisposable
{
    public const string Name = "io_uring";

    private const string Parameter = "/sys/module/fuse/parameters/enable_uring";

    private readonly string? _former = MayTurn ? File.ReadAllText(Parameter) : null;

    private static bool MayTurn => Credentials.IsRoot && File.Exists(Parameter);

    /// <summary>Before each test, since others on this machine may turn it too.</summary>
    internal static void TurnOn()
    {
        if (MayTurn)
            File.WriteAllText(Parameter, "Y");
    }

    internal static void TurnOff() => File.WriteAllText(Parameter, "N");

    public void Dispose()
    {
        if (_former is not null)
            File.WriteAllText(Parameter, _former);
    }
}
