using LoopDaemon.Linux;

namespace LoopDaemon.Storage;

/// <summary>Bytes at offsets from 0 to <see cref="Length"/>, of a file or of another store seen through this one.</summary>
/// <remarks>Any number of threads call a store at once, and a call blocks until its work is done. The calls for data
/// allocate nothing and throw nothing. Whoever disposes a store sees to it that no call is under way.</remarks>
public abstract class BlockStore : IDisposable
{
    /// <summary>The least scratch memory, in bytes, that a call may be given.</summary>
    public const int MinScratchBytes = 8192;

    /// <summary>The length in bytes.</summary>
    public abstract long Length { get; }

    /// <summary>Whether every change is refused with EROFS.</summary>
    public abstract bool IsReadOnly { get; }

    /// <summary>Reads all of a range.</summary>
    /// <param name="offset">Where it begins, in bytes.</param>
    /// <param name="destination">Where the bytes go. On error its contents mean nothing, but are never those that a
    /// transfer has yet to decode.</param>
    /// <returns>EIO for a range not wholly within <see cref="Length"/>, EINVAL for a negative offset, or the error of
    /// the file below.</returns>
    public abstract Errno Read(long offset, Span<byte> destination);

    /// <summary>Writes all of a range; on error, a part of it may have been written.</summary>
    /// <param name="offset">Where it begins, in bytes.</param>
    /// <param name="source">The bytes, which are never changed: a request that a crash interrupts is served anew from
    /// this very memory.</param>
    /// <param name="scratch">At least <see cref="MinScratchBytes"/> of the caller's memory that the store may
    /// overwrite. The more there is, the fewer system calls are made: best is the length of the request and
    /// <see cref="MinScratchBytes"/> more. It holds none of <paramref name="source"/>.</param>
    /// <param name="durable">Return when the bytes are on the medium (O_DSYNC), as if <see cref="Flush"/> followed for them
    /// alone.</param>
    /// <returns>EROFS, ENOSPC for a range not wholly within <see cref="Length"/>, EINVAL for a negative offset or too
    /// little scratch, or the error of the file below.</returns>
    public abstract Errno Write(long offset, ReadOnlySpan<byte> source, Span<byte> scratch, bool durable = false);

    /// <summary>Makes what has been written durable.</summary>
    public abstract Errno Flush();

    /// <summary>Gives a range back. Afterwards it reads as zeros, and its space may be free.</summary>
    /// <param name="offset">Where the range begins, in bytes.</param>
    /// <param name="length">Its length in bytes.</param>
    /// <returns>EOPNOTSUPP where that cannot be had and nothing was changed; otherwise as <see cref="Write"/>.</returns>
    public abstract Errno Discard(long offset, long length);

    /// <summary>Makes a range read as zeros; a writable store always can.</summary>
    /// <param name="offset">Where the range begins, in bytes.</param>
    /// <param name="length">Its length in bytes, of any size.</param>
    /// <param name="scratch">As for <see cref="Write"/>.</param>
    /// <returns>As <see cref="Write"/>.</returns>
    public abstract Errno WriteZeroes(long offset, long length, Span<byte> scratch);

    /// <summary>Finds the next data or hole, as lseek(2) does: the end of the store counts as a hole.</summary>
    /// <param name="target">What to look for.</param>
    /// <param name="offset">Where to begin, in bytes.</param>
    /// <param name="found">Where it is, at or behind <paramref name="offset"/>; 0 on error.</param>
    /// <returns>ENXIO where <paramref name="offset"/> is not within <see cref="Length"/>, or no data follows.</returns>
    public abstract Errno Seek(SeekTarget target, long offset, out long found);

    /// <summary>Closes the store and what it owns.</summary>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Closes what the store owns.</summary>
    protected abstract void Dispose(bool disposing);

    /// <summary>What <see cref="Read"/> answers before it touches anything: None, EINVAL or EIO. On error the
    /// destination is zeros.</summary>
    protected Errno CheckRead(long offset, Span<byte> destination)
    {
        if (Holds(offset, destination.Length))
            return Errno.None;
        destination.Clear();
        return offset < 0 ? Errno.EINVAL : Errno.EIO;
    }

    /// <summary>What a change answers before it touches anything: None, EROFS, EINVAL or ENOSPC.</summary>
    protected Errno CheckWrite(long offset, long length)
    {
        if (IsReadOnly)
            return Errno.EROFS;
        if (offset < 0 || length < 0)
            return Errno.EINVAL;
        return Holds(offset, length) ? Errno.None : Errno.ENOSPC;
    }

    private bool Holds(long offset, long length)
    {
        long end = Length;
        return offset >= 0 && offset <= end && length <= end - offset;
    }
}
