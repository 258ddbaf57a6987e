using LoopDaemon.Linux;

namespace LoopDaemon.Control.Tests;

/// <summary>Counts this process's descriptors, so no other test may run beside it.</summary>
[CollectionDefinition(DisableParallelization = true)]
public sealed class Alone;

[Collection(nameof(Alone))]
public sealed class DescriptorLeakTests
{
    [Fact]
    public void Two_hundred_calls_and_failures_leave_no_descriptor_open()
    {
        using var running = new RunningServer();
        using FileDescriptor backing = KeyDescriptor.Create("backing"u8);
        using FileDescriptor key = KeyDescriptor.Create("key"u8);
        // A directory can be no key: the service throws in the middle of its work.
        using FileDescriptor badKey = FileDescriptor.Open("/", OpenFlags.ReadOnly);
        using ControlClient client = running.Connect();
        Round(running, client, backing, key, badKey);
        RunningServer.Eventually(() => running.Server.ConnectionCount == 1);
        int before = CountOpen();

        for (int i = 0; i < 50; i++)
            Round(running, client, backing, key, badKey);

        RunningServer.Eventually(() => running.Server.ConnectionCount == 1 && CountOpen() <= before);
    }

    private static void Round(RunningServer running, ControlClient client, FileDescriptor backing, FileDescriptor key, FileDescriptor badKey)
    {
        client.Configure(Request(key));
        Assert.Throws<ControlException>(() => client.Configure(Request(badKey)));
        Assert.Throws<ControlException>(() => client.Configure(Request(key) with { Offset = -1 }));
        // Descriptors that no message ends for, and that nothing claims.
        using (var dying = Varlink.VarlinkSocket.Connect(running.Path, TimeSpan.FromSeconds(10)))
        {
            dying.Send("{\"method\":\"io.loopdaemon.Control.GetFree\"}\0"u8, [backing, key], TimeSpan.FromSeconds(10));
            dying.Send("{"u8, [backing, key], TimeSpan.FromSeconds(10));
        }

        ConfigureRequest Request(FileDescriptor keyOfThis) =>
            new() { BackingFile = backing, Transfers = [new TransferRequest { Name = "xor", Key = keyOfThis }] };
    }

    /// <summary>Sockets and keys alone: the runtime opens its own libraries when it likes.</summary>
    private static int CountOpen() => Directory.GetFileSystemEntries("/proc/self/fd")
        .Select(name => new FileInfo(name).LinkTarget ?? "")
        .Count(target => target.StartsWith("socket:", StringComparison.Ordinal)
            || target.StartsWith("/memfd:loopd-key", StringComparison.Ordinal) || target == "/");
}
