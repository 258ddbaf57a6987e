using LoopDaemon.Linux;

namespace LoopDaemon.Storage;

/// <summary>A store on top of another that hands on whatever it does not change; it owns the one below.</summary>
/// <param name="below">The store below.</param>
public abstract class StackedBlockStore(BlockStore below) : BlockStore
{
    /// <inheritdoc/>
    public override long Length => Below.Length;

    /// <inheritdoc/>
    public override bool IsReadOnly => Below.IsReadOnly;

    /// <summary>The store below.</summary>
    protected BlockStore Below { get; } = below;

    /// <inheritdoc/>
    public override Errno Read(long offset, Span<byte> destination) => Below.Read(offset, destination);

    /// <inheritdoc/>
    public override Errno Write(long offset, ReadOnlySpan<byte> source, Span<byte> scratch, bool durable = false) =>
        Below.Write(offset, source, scratch, durable);

    /// <inheritdoc/>
    public override Errno Flush() => Below.Flush();

    /// <inheritdoc/>
    public override Errno Discard(long offset, long length) => Below.Discard(offset, length);

    /// <inheritdoc/>
    public override Errno WriteZeroes(long offset, long length, Span<byte> scratch) =>
        Below.WriteZeroes(offset, length, scratch);

    /// <inheritdoc/>
    public override Errno Seek(SeekTarget target, long offset, out long found) => Below.Seek(target, offset, out found);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            Below.Dispose();
    }
}
