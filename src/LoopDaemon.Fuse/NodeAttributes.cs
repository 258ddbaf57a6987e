using LoopDaemon.Linux;

namespace LoopDaemon.Fuse;

/// <summary>What the kernel shows of a node in stat(2).</summary>
public struct NodeAttributes
{
    /// <summary>The node's id, which is also its inode number.</summary>
    public ulong Node { get; set; }

    /// <summary>A regular file, a directory, ...</summary>
    public FileKind Kind { get; set; }

    /// <summary>The lower 12 bits of the mode.</summary>
    public uint Permissions { get; set; }

    /// <summary>Size in bytes.</summary>
    public long SizeBytes { get; set; }

    /// <summary>Space in use in bytes.</summary>
    public long AllocatedBytes { get; set; }

    /// <summary>Count of names.</summary>
    public uint Links { get; set; }

    /// <summary>The owner.</summary>
    public uint Uid { get; set; }

    /// <summary>The group.</summary>
    public uint Gid { get; set; }

    /// <summary>Access, change and modification time, in nanoseconds since 1970.</summary>
    public long TimeNs { get; set; }

    /// <summary>The preferred size of an I/O in bytes.</summary>
    public uint BlockSizeBytes { get; set; }

    /// <summary>How long the kernel may keep these attributes without asking again.</summary>
    public TimeSpan Validity { get; set; }
}

/// <summary>The answer to a lookup: the node behind a name.</summary>
public struct FuseEntry
{
    /// <summary>Tells apart two uses of one node id in the life of a mount.</summary>
    public ulong Generation { get; set; }

    /// <summary>How long the kernel may keep the name without asking again.</summary>
    public TimeSpan NameValidity { get; set; }

    /// <summary>The node, its id included.</summary>
    public NodeAttributes Attributes { get; set; }
}

/// <summary>What setattr is asked to change; what is null stays.</summary>
public readonly struct AttributeChange
{
    /// <summary>A new size in bytes.</summary>
    public long? SizeBytes { get; init; }

    /// <summary>New permission bits.</summary>
    public uint? Permissions { get; init; }

    /// <summary>A new owner.</summary>
    public uint? Uid { get; init; }

    /// <summary>A new group.</summary>
    public uint? Gid { get; init; }

    /// <summary>Whether a time is to be set.</summary>
    public bool Times { get; init; }
}

/// <summary>What statfs(2) shows.</summary>
public struct FileSystemStatistics
{
    /// <summary>The unit of the counts of blocks, in bytes.</summary>
    public uint BlockSizeBytes { get; set; }

    /// <summary>All blocks.</summary>
    public ulong Blocks { get; set; }

    /// <summary>Free blocks.</summary>
    public ulong BlocksFree { get; set; }

    /// <summary>Count of files.</summary>
    public ulong Files { get; set; }

    /// <summary>The longest name in bytes.</summary>
    public uint NameLength { get; set; }
}
