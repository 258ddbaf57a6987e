using LoopDaemon.Linux;

namespace LoopDaemon.Storage;

/// <summary>A part of the store below: the <c>offset</c> and <c>sizelimit</c> of a loop device.</summary>
public sealed class WindowStore : StackedBlockStore
{
    private long _offset;
    private long _sizeLimit;
    private long _length;

    /// <summary>Opens a window.</summary>
    /// <param name="below">The store below, which this one owns from now on.</param>
    /// <param name="offset">Where the window begins, in bytes; it is not rounded.</param>
    /// <param name="sizeLimit">The most bytes it shows; 0 means no limit.</param>
    /// <exception cref="ArgumentOutOfRangeException">One of the numbers is negative.</exception>
    public WindowStore(BlockStore below, long offset, long sizeLimit) : base(below) =>
        Move(offset, sizeLimit);

    /// <inheritdoc/>
    public override long Length => Volatile.Read(ref _length);

    /// <summary>The size of a loop device: <c>get_size</c> of Linux 5.8, drivers/block/loop.c.</summary>
    /// <param name="backing">The backing file's length in bytes.</param>
    /// <param name="offset">Where the device begins in it, in bytes.</param>
    /// <param name="sizeLimit">The most bytes of the device; 0 means no limit.</param>
    /// <returns>Bytes, a multiple of 512, and 0 where the offset is past the end.</returns>
    public static long WindowLength(long backing, long offset, long sizeLimit)
    {
        const long SectorBytes = 512;
        long size = Math.Max(backing - offset, 0);
        if (sizeLimit > 0 && sizeLimit < size)
            size = sizeLimit;
        return size / SectorBytes * SectorBytes;
    }

    /// <summary>Moves the window; nobody may be using the store meanwhile.</summary>
    /// <param name="offset">As for the constructor.</param>
    /// <param name="sizeLimit">As for the constructor.</param>
    public void Move(long offset, long sizeLimit)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(sizeLimit);
        _offset = offset;
        _sizeLimit = sizeLimit;
        Recompute();
    }

    /// <summary>Takes over the length that the store below has now.</summary>
    public void Recompute() => Volatile.Write(ref _length, WindowLength(Below.Length, _offset, _sizeLimit));

    /// <inheritdoc/>
    public override Errno Read(long offset, Span<byte> destination)
    {
        Errno error = CheckRead(offset, destination);
        return error == Errno.None ? Below.Read(_offset + offset, destination) : error;
    }

    /// <inheritdoc/>
    public override Errno Write(long offset, ReadOnlySpan<byte> source, Span<byte> scratch, bool durable = false)
    {
        Errno error = CheckWrite(offset, source.Length);
        return error == Errno.None ? Below.Write(_offset + offset, source, scratch, durable) : error;
    }

    /// <inheritdoc/>
    public override Errno Discard(long offset, long length)
    {
        Errno error = CheckWrite(offset, length);
        return error == Errno.None ? Below.Discard(_offset + offset, length) : error;
    }

    /// <inheritdoc/>
    public override Errno WriteZeroes(long offset, long length, Span<byte> scratch)
    {
        Errno error = CheckWrite(offset, length);
        return error == Errno.None ? Below.WriteZeroes(_offset + offset, length, scratch) : error;
    }

    /// <inheritdoc/>
    public override Errno Seek(SeekTarget target, long offset, out long found)
    {
        found = 0;
        long length = Length;
        if (offset < 0 || offset >= length)
            return Errno.ENXIO;
        Errno error = Below.Seek(target, _offset + offset, out long position);
        if (error != Errno.None)
            return error;
        position -= _offset;
        if (target == SeekTarget.Data && position >= length)
            return Errno.ENXIO;
        found = Math.Min(position, length);
        return Errno.None;
    }
}
