using System.Runtime.InteropServices;

namespace LoopDaemon.Fuse.Wire;

// The structures of linux/fuse.h, field by field; "In" comes from the kernel, "Out" goes to it.

/// <summary><c>fuse_in_header</c>: 40 bytes before each request.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct InHeader
{
    public const int Size = 40;

    public uint Length;
    public Opcode Opcode;
    public ulong Unique;
    public ulong Node;
    public uint Uid;
    public uint Gid;
    public uint Pid;
    public ushort ExtensionLength;
    private readonly ushort _padding;

    /// <summary>Length of the operation's own structure, behind which a payload follows.</summary>
    public readonly int ArgumentsSize => Opcode switch
    {
        Opcode.Write => TransferIn.Size,
        Opcode.BatchForget => BatchForgetIn.Size,
        // Of the others only a lookup's payload, the name, is of use here.
        _ => 0,
    };
}

/// <summary><c>fuse_out_header</c>: 16 bytes before each reply; with Unique 0 it is a notification and Error its code.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct OutHeader
{
    public const int Size = 16;

    public uint Length;
    public int Error;
    public ulong Unique;
}

[StructLayout(LayoutKind.Sequential)]
internal struct InitIn
{
    /// <summary>Size before protocol 7.36, which added Flags2 and what follows.</summary>
    public const int ShortSize = 16;

    public uint Major;
    public uint Minor;
    public uint MaxReadAhead;
    public uint Flags;
    public uint Flags2;
}

[StructLayout(LayoutKind.Sequential, Size = 64)]
internal struct InitOut
{
    public uint Major;
    public uint Minor;
    public uint MaxReadAhead;
    public uint Flags;
    public ushort MaxBackground;
    public ushort CongestionThreshold;
    public uint MaxWrite;
    public uint TimeGranularity;
    public ushort MaxPages;
    public ushort MapAlignment;
    public uint Flags2;
    public uint MaxStackDepth;
}

/// <summary><c>fuse_attr</c>, 88 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct Attr
{
    public ulong Inode;
    public ulong Size;
    public ulong Blocks;
    public ulong AccessSeconds;
    public ulong ModifySeconds;
    public ulong ChangeSeconds;
    public uint AccessNanoseconds;
    public uint ModifyNanoseconds;
    public uint ChangeNanoseconds;
    public uint Mode;
    public uint Links;
    public uint Uid;
    public uint Gid;
    public uint RDevice;
    public uint BlockSize;
    public uint Flags;
}

[StructLayout(LayoutKind.Sequential)]
internal struct EntryOut
{
    public ulong Node;
    public ulong Generation;
    public ulong EntryValidSeconds;
    public ulong AttrValidSeconds;
    public uint EntryValidNanoseconds;
    public uint AttrValidNanoseconds;
    public Attr Attr;
}

[StructLayout(LayoutKind.Sequential)]
internal struct AttrOut
{
    public ulong ValidSeconds;
    public uint ValidNanoseconds;
    private readonly uint _padding;
    public Attr Attr;
}

[StructLayout(LayoutKind.Sequential)]
internal struct StatxTime
{
    public long Seconds;
    public uint Nanoseconds;
    private readonly int _reserved;
}

/// <summary><c>fuse_statx_out</c> with its <c>fuse_statx</c>: 32 + 256 bytes.</summary>
[StructLayout(LayoutKind.Sequential, Size = 288)]
internal struct StatxOut
{
    public ulong ValidSeconds;
    public uint ValidNanoseconds;
    public uint ReplyFlags;
    private readonly ulong _spare0;
    private readonly ulong _spare1;
    public uint Mask;
    public uint BlockSize;
    public ulong Attributes;
    public uint Links;
    public uint Uid;
    public uint Gid;
    public ushort Mode;
    private readonly ushort _spare2;
    public ulong Inode;
    public ulong Size;
    public ulong Blocks;
    public ulong AttributesMask;
    public StatxTime AccessTime;
    public StatxTime BirthTime;
    public StatxTime ChangeTime;
    public StatxTime ModifyTime;
}

[StructLayout(LayoutKind.Sequential)]
internal struct SetAttrIn
{
    public uint Valid;
    private readonly uint _padding;
    public ulong Handle;
    public ulong Size;
    public ulong LockOwner;
    public ulong AccessSeconds;
    public ulong ModifySeconds;
    public ulong ChangeSeconds;
    public uint AccessNanoseconds;
    public uint ModifyNanoseconds;
    public uint ChangeNanoseconds;
    public uint Mode;
    private readonly uint _unused4;
    public uint Uid;
    public uint Gid;
    private readonly uint _unused5;
}

[StructLayout(LayoutKind.Sequential)]
internal struct OpenIn
{
    public uint Flags;
    public uint OpenFlags;
}

[StructLayout(LayoutKind.Sequential)]
internal struct OpenOut
{
    public ulong Handle;
    public uint OpenFlags;
    public int BackingId;
}

[StructLayout(LayoutKind.Sequential)]
internal struct ReleaseIn
{
    public ulong Handle;
    public uint Flags;
    public uint ReleaseFlags;
    public ulong LockOwner;
}

[StructLayout(LayoutKind.Sequential)]
internal struct FlushIn
{
    public ulong Handle;
    private readonly ulong _unused;
    public ulong LockOwner;
}

/// <summary><c>fuse_read_in</c>; <c>fuse_write_in</c> has the same shape. 40 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct TransferIn
{
    public const int Size = 40;

    public ulong Handle;
    public ulong Offset;
    public uint Length;
    public uint TransferFlags;
    public ulong LockOwner;
    public uint Flags;
    private readonly uint _padding;
}

[StructLayout(LayoutKind.Sequential)]
internal struct WriteOut
{
    public uint Length;
    private readonly uint _padding;
}

[StructLayout(LayoutKind.Sequential)]
internal struct FSyncIn
{
    public const uint DataOnly = 1;

    public ulong Handle;
    public uint Flags;
    private readonly uint _padding;
}

[StructLayout(LayoutKind.Sequential)]
internal struct FAllocateIn
{
    public ulong Handle;
    public ulong Offset;
    public ulong Length;
    public uint Mode;
    private readonly uint _padding;
}

[StructLayout(LayoutKind.Sequential)]
internal struct LSeekIn
{
    public ulong Handle;
    public ulong Offset;
    public uint Whence;
    private readonly uint _padding;
}

[StructLayout(LayoutKind.Sequential)]
internal struct LSeekOut
{
    public ulong Offset;
}

[StructLayout(LayoutKind.Sequential, Size = 80)]
internal struct StatFsOut
{
    public ulong Blocks;
    public ulong BlocksFree;
    public ulong BlocksAvailable;
    public ulong Files;
    public ulong FilesFree;
    public uint BlockSize;
    public uint NameLength;
    public uint FragmentSize;
}

[StructLayout(LayoutKind.Sequential)]
internal struct AccessIn
{
    public uint Mask;
    private readonly uint _padding;
}

[StructLayout(LayoutKind.Sequential)]
internal struct ForgetIn
{
    public ulong Lookups;
}

[StructLayout(LayoutKind.Sequential)]
internal struct BatchForgetIn
{
    public const int Size = 8;

    public uint Count;
    private readonly uint _padding;
}

[StructLayout(LayoutKind.Sequential)]
internal struct ForgetOne
{
    public ulong Node;
    public ulong Lookups;
}

/// <summary><c>fuse_dirent</c> without its name, which follows and is padded to 8 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct DirectoryEntry
{
    public const int Size = 24;

    public ulong Inode;
    public ulong NextCookie;
    public uint NameLength;
    public uint Type;
}

[StructLayout(LayoutKind.Sequential)]
internal struct NotifyInvalidateInode
{
    public OutHeader Header;
    public ulong Node;
    public long Offset;
    public long Length;
}

/// <summary>The name follows, with a NUL that <c>NameLength</c> does not count.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct NotifyInvalidateEntry
{
    public const int Size = 32;

    public OutHeader Header;
    public ulong Parent;
    public uint NameLength;
    public uint Flags;
}

/// <summary><c>fuse_backing_map</c>, the argument of FUSE_DEV_IOC_BACKING_OPEN.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct BackingMap
{
    public int Fd;
    public uint Flags;
    private readonly ulong _padding;
}
