using System.Globalization;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>One daemon for the tests of a class, started with the first of them, to which each comes with nothing bound.</summary>
public sealed class SharedLoopd : IDisposable
{
    private const int MaxLoop = 8;

    private Loopd? _loopd;

    /// <summary>The daemon, with every device unbound, and none but those that always exist.</summary>
    internal Loopd Fresh()
    {
        // Anyone may look into the directory: some tests are another user.
        if (_loopd is null)
        {
            _loopd = new Loopd("--max-loop", $"{MaxLoop}", "--control-mode", "0600");
            File.SetUnixFileMode(_loopd.Directory, (UnixFileMode)0b111_101_101);
            Loopd.WaitUntil(() => _loopd.Log.Contains("ready", StringComparison.Ordinal), "the daemon has opened its log");
        }
        using ControlClient client = _loopd.Connect();
        foreach (DeviceStatus device in client.List())
        {
            try
            {
                client.Clear(device.Device);
            }
            catch (ControlException gone) when (gone.Errno == Errno.ENXIO)
            {
                // What the test before closed last has only now reached the daemon, and cleared it.
            }
        }
        Loopd.WaitUntil(() => client.List().Count == 0, "the devices of the test before are cleared");
        foreach (string device in Directory.GetFiles(_loopd.Mount))
        {
            int number = int.Parse(Path.GetFileName(device).AsSpan("loop".Length), CultureInfo.InvariantCulture);
            if (number >= MaxLoop)
                client.Remove(number);
        }
        return _loopd;
    }

    public void Dispose() => _loopd?.Dispose();
}

/// <summary>What tests ask of a daemon over its socket, without a program in between.</summary>
internal static class LoopdCalls
{
    internal static ControlClient Connect(this Loopd loopd) => ControlClient.Connect(loopd.Socket);

    /// <summary>Looks at a device that nothing but the kernel or the rights of the daemon could keep from passthrough.</summary>
    internal static void SkipUnlessPassthrough(this Loopd loopd)
    {
        using ControlClient client = loopd.Connect();
        int device = client.Configure(loopd.MakeSparseFile("probe.img", 4096)).Device;
        string? obstacle = client.GetStatus(device).Passthrough.Obstacle;
        client.Clear(device);
        Assert.SkipUnless(obstacle is null, $"needs FUSE passthrough, and a device here {obstacle}");
    }

    /// <summary>Binds a file, with what a test adds to the request.</summary>
    internal static ConfigureReply Configure(
        this ControlClient client, string path, Func<ConfigureRequest, ConfigureRequest>? adjust = null, OpenFlags flags = OpenFlags.ReadWrite)
    {
        using FileDescriptor file = FileDescriptor.Open(path, flags);
        var request = new ConfigureRequest { BackingFile = file };
        return client.Configure(adjust?.Invoke(request) ?? request);
    }

    internal static IReadOnlyList<DeviceStatus> List(this Loopd loopd)
    {
        using ControlClient client = loopd.Connect();
        return client.List();
    }

    /// <summary>How many descriptors the daemon has open, but for the assemblies that it loads when it needs them.</summary>
    internal static int OpenDescriptors(this Loopd loopd)
    {
        // It serves before it opens its log, with this line.
        Loopd.WaitUntil(() => loopd.Log.Contains("ready", StringComparison.Ordinal), "the daemon says that it is ready");
        return loopd.DescriptorTargets().Count(target => !target.EndsWith(".dll", StringComparison.Ordinal));
    }

    /// <summary>How many of the daemon's descriptors are of this file.</summary>
    internal static int OpenDescriptors(this Loopd loopd, string path) => loopd.DescriptorTargets().Count(target => target == path);

    private static IEnumerable<string> DescriptorTargets(this Loopd loopd) => Directory.EnumerateFileSystemEntries($"/proc/{loopd.ProcessId}/fd")
        .Select(entry => new FileInfo(entry).LinkTarget).OfType<string>();
}
