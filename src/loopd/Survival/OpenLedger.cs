using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using LoopDaemon.Fuse;
using LoopDaemon.Linux;

namespace LoopDaemon.Daemon.Survival;

/// <summary>How often a node is open in each way.</summary>
internal record struct OpenCounts
{
    internal int Cached, Direct, Passed;

    /// <summary>With passthrough: the id of the backing file.</summary>
    internal int BackingId;

    internal readonly int Total => Cached + Direct + Passed;
}

/// <summary>Who has what open, in a memory file that outlives this process: nobody tells the next daemon, and on the counts
/// hangs when a device is cleared.
///
/// An open or release is counted once, although a daemon that took over may be given it again. Under the node's lock the
/// request's slot notes {its id, the node's entry, the sequence number that the entry will have}; then the entry takes its new
/// counts and that number in one step. A request that comes again was counted if and only if its slot has noted it and the
/// entry has come so far.
///
/// The file: a page for itself, 64 bytes for each request slot, then 64 bytes for each open node
/// <c>{ u64 node, u64 sequence, counts, counts }</c>, where the sequence's lowest bit says which counts are true.</summary>
internal sealed class OpenLedger : IDisposable
{
    private const int MaxSlots = 256;
    private const int MaxEntries = 32 * 1024;
    private const int EntryBytes = 64;
    private const int SlotsStart = 4096;
    private const int EntriesStart = SlotsStart + MaxSlots * EntryBytes;
    private const int FileBytes = EntriesStart + MaxEntries * EntryBytes;

    private readonly PageMemory _memory;
    private readonly ConcurrentBag<int> _free;

    /// <summary>Takes over a memory file.</summary>
    /// <param name="file">The file, which this object owns from now on.</param>
    /// <exception cref="LinuxException">It cannot be mapped.</exception>
    internal OpenLedger(FileDescriptor file)
    {
        File = file;
        _memory = PageMemory.Share(file, 0, FileBytes);
        // A bag gives the latest first: memory that was used is used again.
        _free = [.. Enumerable.Range(0, MaxEntries).Reverse().Where(index => CountsOf(index).Total == 0)];
    }

    /// <summary>Makes an empty one.</summary>
    /// <exception cref="LinuxException">There is no memory left.</exception>
    internal OpenLedger() : this(FileDescriptor.CreateMemory("loopd-opens", FileBytes))
    {
    }

    /// <summary>The memory file, for a descriptor store.</summary>
    internal FileDescriptor File { get; }

    /// <summary>The nodes that are open.</summary>
    internal IEnumerable<(int Entry, ulong Node, OpenCounts Counts)> Open =>
        Enumerable.Range(0, MaxEntries).Where(index => CountsOf(index).Total > 0).Select(index => (index, EntryAt(index).Node, CountsOf(index)));

    /// <summary>Takes an entry for a node that is about to be opened.</summary>
    /// <returns>-1 where there is none left.</returns>
    internal int Take(ulong node)
    {
        if (!_free.TryTake(out int index))
            return -1;
        EntryAt(index).Node = node;
        return index;
    }

    /// <summary>Gives back the entry of a node that nobody has open.</summary>
    internal void Return(int entry) => _free.Add(entry);

    /// <summary>Counts an open or release. The caller holds the node's lock, and says the kernel nothing before.</summary>
    /// <param name="entry">The node's entry.</param>
    /// <param name="counts">The counts from now on.</param>
    /// <param name="request">The request.</param>
    /// <param name="modes">What an open is told.</param>
    internal void Count(int entry, in OpenCounts counts, in FuseRequest request, OpenModes modes = OpenModes.None)
    {
        ref Entry node = ref EntryAt(entry);
        ulong next = node.Sequence + 1;
        if (request.Slot is >= 0 and < MaxSlots)
        {
            ref Note note = ref NoteAt(request.Slot);
            Volatile.Write(ref note.Request, 0);
            note.Entry = entry;
            note.Sequence = next;
            note.Modes = modes;
            note.BackingId = counts.BackingId;
            Volatile.Write(ref note.Request, Id(in request));
        }
        if ((next & 1) == 0)
            node.Even = counts;
        else
            node.Odd = counts;
        Volatile.Write(ref node.Sequence, next);
    }

    /// <summary>Whether a request was counted already, by a daemon that did not live to answer it.</summary>
    /// <param name="request">The request.</param>
    /// <param name="modes">What the open was to be told.</param>
    /// <param name="backingId">The id of the backing file with it.</param>
    internal bool IsCounted(in FuseRequest request, out OpenModes modes, out int backingId)
    {
        (modes, backingId) = (OpenModes.None, 0);
        if (request.Slot is < 0 or >= MaxSlots)
            return false;
        ref Note note = ref NoteAt(request.Slot);
        if (note.Request != Id(in request) || EntryAt(note.Entry).Sequence < note.Sequence)
            return false;
        (modes, backingId) = (note.Modes, note.BackingId);
        return true;
    }

    public void Dispose()
    {
        _memory.Dispose();
        File.Dispose();
    }

    /// <summary>The kernel sets the highest bit in the id of a request that it sends again.</summary>
    private static ulong Id(in FuseRequest request) => request.Unique & ~(1UL << 63);

    private OpenCounts CountsOf(int entry)
    {
        ref Entry node = ref EntryAt(entry);
        return (node.Sequence & 1) == 0 ? node.Even : node.Odd;
    }

    private ref Entry EntryAt(int index) => ref MemoryMarshal.AsRef<Entry>(_memory.Span(EntriesStart + index * EntryBytes, Unsafe.SizeOf<Entry>()));

    private ref Note NoteAt(int slot) => ref MemoryMarshal.AsRef<Note>(_memory.Span(SlotsStart + slot * EntryBytes, Unsafe.SizeOf<Note>()));

    [StructLayout(LayoutKind.Sequential)]
    private struct Entry
    {
        internal ulong Node;
        internal ulong Sequence;
        internal OpenCounts Even;
        internal OpenCounts Odd;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Note
    {
        internal ulong Request;
        internal ulong Sequence;
        internal int Entry;
        internal OpenModes Modes;
        internal int BackingId;
    }
}
