using LoopDaemon.Linux;

namespace LoopDaemon.Fuse;

/// <summary>A file system: override what it can do, the rest answers ENOSYS (which the kernel takes as "never ask again"
/// where it has a default of its own).
///
/// Every method is called on one of the server's threads, several at a time; a method that waits, waits alone (over
/// io_uring, with the requests behind it in the same ring, so it must not wait for another request there).
/// The answer is an <see cref="Errno"/>; an exception is answered as EIO. Spans are valid during the call only.
/// Node ids and handles should follow from what they name: requests of a crashed daemon come to the next one.</summary>
public abstract class FuseFileSystem
{
    /// <summary>The id of the root directory.</summary>
    public const ulong RootNode = 1;

    /// <summary>The mount's INIT is about to be answered; after that, notifications may be sent.</summary>
    public virtual void Initialized(FuseConnection connection, FuseNegotiation negotiation)
    {
    }

    /// <summary>The file system is being unmounted; no request follows.</summary>
    public virtual void Destroyed()
    {
    }

    /// <summary>Finds a name in the directory <c>request.Node</c>; ENOENT where there is none.</summary>
    public virtual Errno Lookup(in FuseRequest request, ReadOnlySpan<byte> name, ref FuseEntry entry) => Errno.ENOSYS;

    /// <summary>The kernel drops as many references to a node as lookups have given it.</summary>
    public virtual void Forget(ulong node, ulong lookups)
    {
    }

    /// <summary>stat(2).</summary>
    public virtual Errno GetAttributes(in FuseRequest request, ref NodeAttributes attributes) => Errno.ENOSYS;

    /// <summary>truncate(2), chmod(2), chown(2), utimensat(2).</summary>
    public virtual Errno SetAttributes(in FuseRequest request, in AttributeChange change, ref NodeAttributes attributes) => Errno.ENOSYS;

    /// <summary>open(2). Without default_permissions the file system checks the caller's rights itself. O_TRUNC is among
    /// the flags, and the kernel takes a successful open for a successful truncation until it asks for the size again.</summary>
    public virtual Errno Open(in FuseRequest request, OpenFlags flags, ref OpenReply reply) => Errno.ENOSYS;

    /// <summary>The last close of one open file. Its answer reaches nobody.</summary>
    public virtual void Release(in FuseRequest request, ulong handle, OpenFlags flags)
    {
    }

    /// <summary>Reads into the reply itself; fewer bytes than asked for mean the end of the file.</summary>
    public virtual Errno Read(in FuseRequest request, in FilePosition position, Span<byte> destination, out int count)
    {
        count = 0;
        return Errno.ENOSYS;
    }

    /// <summary>Writes.</summary>
    /// <param name="request">Who and what.</param>
    /// <param name="position">Where.</param>
    /// <param name="data">The bytes; they must stay as they are until the request is answered.</param>
    /// <param name="scratch">Page-aligned memory for an encoded copy, at least 8 KiB longer than the data.</param>
    /// <param name="count">How many bytes were written.</param>
    public virtual Errno Write(in FuseRequest request, in FilePosition position, ReadOnlySpan<byte> data, Span<byte> scratch, out int count)
    {
        count = 0;
        return Errno.ENOSYS;
    }

    /// <summary>One of the descriptors of an open file is closed (close(2) returns this answer).</summary>
    public virtual Errno Flush(in FuseRequest request, ulong handle) => Errno.None;

    /// <summary>fsync(2) or fdatasync(2).</summary>
    public virtual Errno Synchronize(in FuseRequest request, ulong handle, bool dataOnly) => Errno.ENOSYS;

    /// <summary>fallocate(2).</summary>
    /// <param name="request">Who and what.</param>
    /// <param name="handle">The open file.</param>
    /// <param name="mode">What to do.</param>
    /// <param name="offset">The first byte.</param>
    /// <param name="length">How many bytes.</param>
    /// <param name="scratch">Page-aligned memory of more than 1 MiB, free to use.</param>
    public virtual Errno Allocate(in FuseRequest request, ulong handle, AllocateMode mode, long offset, long length, Span<byte> scratch) => Errno.ENOSYS;

    /// <summary>lseek(2) with SEEK_DATA or SEEK_HOLE.</summary>
    public virtual Errno Seek(in FuseRequest request, ulong handle, SeekTarget target, long offset, out long found)
    {
        found = 0;
        return Errno.ENOSYS;
    }

    /// <summary>statfs(2).</summary>
    public virtual Errno GetStatistics(in FuseRequest request, ref FileSystemStatistics statistics)
    {
        statistics.BlockSizeBytes = 4096;
        statistics.NameLength = 255;
        return Errno.None;
    }

    /// <summary>opendir(3).</summary>
    public virtual Errno OpenDirectory(in FuseRequest request, ref OpenReply reply) => Errno.None;

    /// <summary>Lists a directory from a cookie on (0 is the beginning) until the writer is full or the directory ends.</summary>
    public virtual Errno ReadDirectory(in FuseRequest request, ulong handle, ulong cookie, ref DirectoryWriter writer) => Errno.ENOSYS;

    /// <summary>closedir(3).</summary>
    public virtual void ReleaseDirectory(in FuseRequest request, ulong handle)
    {
    }

    /// <summary>access(2); the kernel does not ask where default_permissions is on.</summary>
    public virtual Errno Access(in FuseRequest request, uint mask) => Errno.ENOSYS;

    /// <summary>A name is to be created, removed or changed in the directory <c>request.Node</c>.</summary>
    public virtual Errno ChangeNamespace(in FuseRequest request, NamespaceChange change) => Errno.ENOSYS;
}
