using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using LoopDaemon.Fuse.Wire;

namespace LoopDaemon.Fuse;

/// <summary>Fills the reply to a directory listing, with each node's attributes where the kernel asks for them
/// (READDIRPLUS: <c>fuse_direntplus</c>), without otherwise.</summary>
public ref struct DirectoryWriter
{
    private readonly Span<byte> _reply;
    private readonly bool _withAttributes;

    internal DirectoryWriter(Span<byte> reply, bool withAttributes)
    {
        _reply = reply;
        _withAttributes = withAttributes;
    }

    /// <summary>How many bytes are filled.</summary>
    internal int Length { get; private set; }

    /// <summary>Appends an entry.</summary>
    /// <param name="name">The name, UTF-8, without NUL.</param>
    /// <param name="nextCookie">Where a later listing goes on behind this entry; not 0.</param>
    /// <param name="entry">The node; for "." and ".." only its kind and id count.</param>
    /// <returns>False when there is no room left: stop, the kernel will ask again.</returns>
    public bool TryAdd(scoped ReadOnlySpan<byte> name, ulong nextCookie, scoped in FuseEntry entry)
    {
        int head = _withAttributes ? Unsafe.SizeOf<EntryOut>() : 0;
        int size = (head + DirectoryEntry.Size + name.Length + 7) & ~7;
        if (size > _reply.Length - Length)
            return false;

        Span<byte> place = _reply.Slice(Length, size);
        place.Clear();
        if (_withAttributes)
        {
            // Node 0 tells the kernel that no lookup took place: it must not count one for "." and "..".
            bool isDot = name.SequenceEqual("."u8) || name.SequenceEqual(".."u8);
            EntryOut full = isDot ? default : Encoding.Entry(in entry);
            MemoryMarshal.Write(place, in full);
            place = place[head..];
        }
        var header = new DirectoryEntry
        {
            Inode = entry.Attributes.Node,
            NextCookie = nextCookie,
            NameLength = (uint)name.Length,
            Type = (uint)entry.Attributes.Kind >> 12,
        };
        MemoryMarshal.Write(place, in header);
        name.CopyTo(place[DirectoryEntry.Size..]);
        Length += size;
        return true;
    }
}
