using System.Runtime.InteropServices;

namespace LoopDaemon.Fuse.Wire;

// The structures of linux/fuse.h for requests that travel over io_uring, protocol 7.42 (Linux 6.14).

/// <summary><c>enum fuse_uring_cmd</c>.</summary>
internal enum UringCommand : uint
{
    /// <summary>FUSE_IO_URING_CMD_REGISTER: gives the kernel an entry's memory; it completes with the first request in it.</summary>
    Register = 1,
    /// <summary>FUSE_IO_URING_CMD_COMMIT_AND_FETCH: answers the request in an entry; it completes with the next one.</summary>
    CommitAndFetch = 2,
}

/// <summary><c>fuse_uring_cmd_req</c>, in the command space of a submission.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct UringCommandIn
{
    public ulong Flags;
    public ulong CommitId;
    public ushort QueueId;
    private readonly ushort _padding0;
    private readonly uint _padding1;
}

/// <summary><c>fuse_uring_ent_in_out</c>: what goes both ways with each request.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct UringEntryInOut
{
    public ulong Flags;
    public ulong CommitId;

    /// <summary>How much of the payload is of use: the request's, then the reply's.</summary>
    public uint PayloadLength;

    private readonly uint _padding;
    private readonly ulong _reserved;
}

/// <summary><c>fuse_uring_req_header</c>: an entry's first piece of memory.</summary>
[StructLayout(LayoutKind.Explicit, Size = Size)]
internal struct UringRequestHeader
{
    public const int Size = 288, ArgumentsOffset = 128, ArgumentsSize = 128;

    /// <summary>The request's header (<c>in_out</c>).</summary>
    [FieldOffset(0)] public InHeader In;

    /// <summary>The reply's, in the same place.</summary>
    [FieldOffset(0)] public OutHeader Out;

    /// <summary>The first byte of the operation's own structure (<c>op_in</c>).</summary>
    [FieldOffset(ArgumentsOffset)] public byte Arguments;

    [FieldOffset(256)] public UringEntryInOut Entry;
}
