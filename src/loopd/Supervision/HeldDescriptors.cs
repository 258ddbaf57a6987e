using LoopDaemon.Linux;

namespace LoopDaemon.Daemon.Supervision;

/// <summary>What a daemon has left to be kept for the next one, as systemd's store of descriptors does it: each open file
/// description once, and all of a name dropped together.</summary>
/// <param name="leastNumber">The least number of one that is kept. A child finds them under the numbers from 3 on, and giving it one
/// must not overwrite another.</param>
internal sealed class HeldDescriptors(int leastNumber) : IDisposable
{
    /// <summary>How many are kept at most. Their names come back in one variable of the environment, which may be 128 KiB long.</summary>
    internal const int Room = 8192;

    private const int FirstInChild = 3;

    private readonly List<Held> _held = [];

    /// <summary>All that is kept, in the order in which it came.</summary>
    internal IReadOnlyList<Held> All => _held;

    internal bool Has(string name) => Find(name) is not null;

    /// <summary>The first one of a name, which stays this object's; null where there is none.</summary>
    internal FileDescriptor? Find(string name) => _held.Find(held => held.Name == name)?.Descriptor;

    /// <summary>Keeps a descriptor; it stays the caller's.</summary>
    /// <returns>False where there is no room.</returns>
    internal bool Add(string name, FileDescriptor descriptor)
    {
        // Whatever serves the file may hang, or be the daemon that is dead just now: it is not asked.
        _ = descriptor.GetStatus(out FileStatus file, remembered: true);
        // Only those of one file can be of one description, and comparing them is a system call each.
        if (_held.Exists(held => (held.Device, held.Inode) == (file.Device, file.Inode) && (held.Descriptor.IsSameDescription(descriptor) ?? held.Name == name)))
            return true;
        if (_held.Count >= Math.Min(Room, leastNumber - FirstInChild))
            return false;
        try
        {
            _held.Add(new Held(name, descriptor.Duplicate(leastNumber), file.Device, file.Inode));
            return true;
        }
        catch (LinuxException)
        {
            return false;
        }
    }

    internal void Remove(string name)
    {
        foreach (Held held in _held.Where(held => held.Name == name))
            CloseAside(held.Descriptor);
        _held.RemoveAll(held => held.Name == name);
    }

    /// <summary>Closes a descriptor without waiting for it: a network file system writes back first (close(2)), and may hang.</summary>
    internal static void CloseAside(FileDescriptor descriptor) =>
        ThreadPool.UnsafeQueueUserWorkItem(static descriptor => descriptor.Dispose(), descriptor, preferLocal: false);

    public void Dispose()
    {
        _held.ForEach(held => held.Descriptor.Dispose());
        _held.Clear();
    }

    /// <summary>A descriptor that is kept, and the file that it is of.</summary>
    internal sealed record Held(string Name, FileDescriptor Descriptor, ulong Device, ulong Inode);
}
