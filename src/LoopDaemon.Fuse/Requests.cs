using LoopDaemon.Linux;

namespace LoopDaemon.Fuse;

/// <summary>Which node a request is about, and who asks.</summary>
/// <param name="Unique">The kernel's id of the request.</param>
/// <param name="Node">The node; in a lookup and a change of names, the directory.</param>
/// <param name="Uid">The caller's user.</param>
/// <param name="Gid">The caller's group.</param>
/// <param name="ProcessId">The caller, 0 where the kernel asks for itself or the caller is in another PID namespace.</param>
/// <param name="Slot">Which of the server's slots holds the request until it is answered, from 0; negative where none does.
/// What a file system notes under this number lasts as long as the request: the next one in the slot comes after the answer.</param>
public readonly record struct FuseRequest(ulong Unique, ulong Node, uint Uid, uint Gid, uint ProcessId, int Slot = -1);

/// <summary>Where a read or write happens.</summary>
/// <param name="Handle">The handle that open returned.</param>
/// <param name="Offset">The first byte.</param>
/// <param name="Flags">The open file's flags at this moment (O_DIRECT, O_DSYNC, ...).</param>
public readonly record struct FilePosition(ulong Handle, long Offset, OpenFlags Flags);

/// <summary>How the kernel is to treat one open file (FOPEN_*).</summary>
[Flags]
public enum OpenModes
{
    /// <summary>Through the page cache, dropping what it held.</summary>
    None = 0,
    /// <summary>Each read and write comes to the file system; the page cache is not used.</summary>
    DirectIo = 1,
    /// <summary>The page cache keeps what it held from earlier opens.</summary>
    KeepCache = 2,
    /// <summary>With <see cref="DirectIo"/>: several writes to one file at a time.</summary>
    ParallelDirectWrites = 64,
    /// <summary>The kernel does the I/O on a registered backing file itself.</summary>
    Passthrough = 128,
}

/// <summary>The answer to an open.</summary>
public struct OpenReply
{
    /// <summary>Comes back with each request on this open file. Make it a function of the node, never a counter: after a
    /// crash the next daemon must know it.</summary>
    public ulong Handle { get; set; }

    /// <summary>How the kernel is to treat the file.</summary>
    public OpenModes Modes { get; set; }

    /// <summary>With <see cref="OpenModes.Passthrough"/>: the id of <see cref="FuseConnection.OpenBacking"/>.</summary>
    public int BackingId { get; set; }
}

/// <summary>A change of a directory, of which this library passes on only that it was asked for.</summary>
public enum NamespaceChange
{
    /// <summary>creat(2), open(2) with O_CREAT, mknod(2), O_TMPFILE.</summary>
    CreateFile,
    /// <summary>mkdir(2).</summary>
    CreateDirectory,
    /// <summary>symlink(2) and link(2).</summary>
    CreateLink,
    /// <summary>unlink(2).</summary>
    RemoveFile,
    /// <summary>rmdir(2).</summary>
    RemoveDirectory,
    /// <summary>rename(2) and renameat2(2).</summary>
    Rename,
}
