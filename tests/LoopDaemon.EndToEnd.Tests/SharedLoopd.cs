using LoopDaemon.Control;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>One daemon for the tests of a class, started with the first of them, to which each comes with nothing bound.</summary>
public sealed class SharedLoopd : IDisposable
{
    private Loopd? _loopd;

    /// <summary>The daemon, with every device unbound.</summary>
    internal Loopd Fresh()
    {
        // Anyone may look into the directory: some tests are another user.
        if (_loopd is null)
        {
            _loopd = new Loopd("--max-loop", "8", "--control-mode", "0600");
            File.SetUnixFileMode(_loopd.Directory, (UnixFileMode)0b111_101_101);
            Loopd.WaitUntil(() => _loopd.Log.Contains("ready", StringComparison.Ordinal), "the daemon has opened its log");
        }
        using ControlClient client = _loopd.Connect();
        foreach (DeviceStatus device in client.List())
            client.Clear(device.Device);
        Loopd.WaitUntil(() => client.List().Count == 0, "the devices of the test before are cleared");
        return _loopd;
    }

    public void Dispose() => _loopd?.Dispose();
}

/// <summary>What tests ask of a daemon over its socket, without a program in between.</summary>
internal static class LoopdCalls
{
    internal static ControlClient Connect(this Loopd loopd) => ControlClient.Connect(loopd.Socket);

    internal static IReadOnlyList<DeviceStatus> List(this Loopd loopd)
    {
        using ControlClient client = loopd.Connect();
        return client.List();
    }

    /// <summary>How many descriptors the daemon has open, but for the assemblies that it loads when it needs them.</summary>
    internal static int OpenDescriptors(this Loopd loopd) => Directory.EnumerateFileSystemEntries($"/proc/{loopd.ProcessId}/fd")
        .Count(entry => new FileInfo(entry).LinkTarget is { } target && !target.EndsWith(".dll", StringComparison.Ordinal));
}
