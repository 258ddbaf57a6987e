using System.Globalization;

namespace LoopDaemon.Linux;

/// <summary>The descriptors that a service manager has started this process with (sd_listen_fds(3)): sockets that it listens
/// on, and what its store of descriptors kept.</summary>
public sealed class InheritedDescriptors : IDisposable
{
    private const int First = 3;

    private readonly Dictionary<string, FileDescriptor> _descriptors = [];

    private InheritedDescriptors()
    {
    }

    /// <summary>The names of those that nobody has taken yet.</summary>
    public IReadOnlyCollection<string> Names => _descriptors.Keys;

    /// <summary>Takes over what the environment speaks of, once; children do not inherit it.</summary>
    public static InheritedDescriptors Receive()
    {
        var inherited = new InheritedDescriptors();
        bool meant = Number("LISTEN_PID") == Environment.ProcessId;
        int count = meant ? Math.Max(0, Number("LISTEN_FDS")) : 0;
        string[] names = (Environment.GetEnvironmentVariable("LISTEN_FDNAMES") ?? "").Split(':');
        for (int i = 0; i < count; i++)
        {
            var descriptor = new FileDescriptor(First + i);
            if (descriptor.CloseOnExec() != Errno.None)
                descriptor.SetHandleAsInvalid();
            else if (!inherited._descriptors.TryAdd(i < names.Length ? names[i] : "unknown", descriptor))
                descriptor.Dispose();
        }
        foreach (string variable in (ReadOnlySpan<string>)["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"])
            Environment.SetEnvironmentVariable(variable, null);
        return inherited;
    }

    /// <summary>Whether there is one of a name.</summary>
    public bool Has(string name) => _descriptors.ContainsKey(name);

    /// <summary>Takes one of a name, which is the caller's from now on; null where there is none.</summary>
    public FileDescriptor? Take(string name) => _descriptors.Remove(name, out FileDescriptor? taken) ? taken : null;

    /// <summary>Closes those that nobody has taken.</summary>
    public void Dispose()
    {
        foreach (FileDescriptor left in _descriptors.Values)
            left.Dispose();
        _descriptors.Clear();
    }

    private static int Number(string variable) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : -1;
}
