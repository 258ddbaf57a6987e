using LoopDaemon.Linux;

namespace LoopDaemon.Daemon.Supervision;

/// <summary>What a daemon has left to be kept for the next one, as systemd's store of descriptors does it: each open file
/// description once, and all of a name dropped together.</summary>
internal sealed class HeldDescriptors(int leastNumber) : IDisposable
{
    /// <summary>How many are kept. Their names come back in one variable of the environment, which may be 128 KiB long.</summary>
    internal const int Room = 8192;

    private readonly List<Held> _held = [];

    /// <summary>All that is kept, in the order in which it came.</summary>
    internal IReadOnlyList<Held> All => _held;

    internal bool Has(string name) => _held.Exists(held => held.Name == name);

    /// <summary>Keeps a descriptor; it stays the caller's.</summary>
    /// <returns>False where there is no room.</returns>
    internal bool Add(string name, FileDescriptor descriptor)
    {
        _ = descriptor.GetStatus(out FileStatus file);
        // Only those of one file can be of one description, and comparing them is a system call each.
        if (_held.Exists(held => (held.Device, held.Inode) == (file.Device, file.Inode) && held.Descriptor.IsSameDescription(descriptor)))
            return true;
        if (_held.Count >= Room)
            return false;
        // Above the numbers that a child finds them under: giving it one must not overwrite the next.
        _held.Add(new Held(name, descriptor.Duplicate(leastNumber), file.Device, file.Inode));
        return true;
    }

    internal void Remove(string name)
    {
        foreach (Held held in _held.Where(held => held.Name == name))
            held.Descriptor.Dispose();
        _held.RemoveAll(held => held.Name == name);
    }

    public void Dispose()
    {
        _held.ForEach(held => held.Descriptor.Dispose());
        _held.Clear();
    }

    /// <summary>A descriptor that is kept, and the file that it is of.</summary>
    internal sealed record Held(string Name, FileDescriptor Descriptor, ulong Device, ulong Inode);
}
