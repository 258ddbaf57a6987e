using System.Numerics;
using LoopDaemon.Linux;
using LoopDaemon.Transfers;

namespace LoopDaemon.Storage;

/// <summary>Shows the store below through a pipeline of transfers. The first is the nearest to the user's data: a write
/// goes through them in order, a read in reverse.</summary>
/// <remarks>
/// <para>Transfers work on whole sectors. A write of a part of a sector is read, changed and written back under an
/// exclusive lock on its range, while reads and writes of whole sectors share theirs: without that, a read could
/// decode a sector of which only half was written, and get garbage for bytes that nobody wrote.</para>
/// <para>With discards allowed, a sector whose <em>stored</em> bytes are all zero is not decoded but reads as zeros. A
/// hole that was punched thus reads as zeros through any key, as ext4 expects of a device (on a kernel loop device
/// it turns write-zeroes into holes). It shows whoever sees the file which sectors are in use; and data whose stored form
/// would be all zeros, such as XOR's own key, cannot be kept: its write is EIO. Holes are looked at sector by sector:
/// one that somebody punches from outside into a part of a sector spoils that sector.</para>
/// </remarks>
public sealed class TransferStore : StackedBlockStore
{
    /// <summary>The largest sector that a transfer may have, in bytes.</summary>
    public const int MaxSectorBytes = 4096;

    private const int MinSectorBytes = 512;

    private static readonly byte[] ZeroSector = new byte[MaxSectorBytes];

    private readonly IReadOnlyList<ITransfer> _pipeline;
    private readonly ITransfer[] _transfers;
    private readonly int _sectorBytes;
    private readonly bool _allowDiscards;
    private readonly StripedRangeLock _ranges = new();

    /// <summary>Puts a pipeline on a store.</summary>
    /// <param name="below">The store below, which this one owns from now on.</param>
    /// <param name="pipeline">The transfers, which this store owns from now on; one at least does something.</param>
    /// <param name="firstSector">The number, in units of 512 bytes, of the sector at offset 0: transfers count from here.</param>
    /// <param name="allowDiscards">Hand discards below, at the price in the remarks.</param>
    /// <exception cref="ArgumentException">No transfer does anything, a sector size is no power of two from 512 to
    /// 4096, or the length of <paramref name="below"/> is not a multiple of the largest.</exception>
    public TransferStore(BlockStore below, IReadOnlyList<ITransfer> pipeline, ulong firstSector, bool allowDiscards)
        : base(below)
    {
        ArgumentNullException.ThrowIfNull(below);
        ArgumentNullException.ThrowIfNull(pipeline);
        _pipeline = pipeline;
        _transfers = [.. pipeline.Where(transfer => !transfer.IsIdentity)];
        if (_transfers.Length == 0)
            throw new ArgumentException("A pipeline has a transfer that does something.", nameof(pipeline));
        if (Array.Find(_transfers, transfer => !IsSectorSize(transfer.SectorSize)) is { } odd)
            throw new ArgumentException($"Transfer {odd.Name} has sectors of {odd.SectorSize} bytes.", nameof(pipeline));
        _sectorBytes = _transfers.Max(transfer => transfer.SectorSize);
        if (below.Length % _sectorBytes != 0)
            throw new ArgumentException($"{below.Length} bytes are not whole sectors of {_sectorBytes}.", nameof(below));
        FirstSector = firstSector;
        _allowDiscards = allowDiscards;
    }

    /// <summary>The number, in units of 512 bytes, of the sector at offset 0; set only while nobody is using the store.</summary>
    public ulong FirstSector { get; set; }

    /// <inheritdoc/>
    public override long Length => RoundDown(Below.Length);

    /// <summary>As the constructor, but where every transfer is the identity, disposes them and gives
    /// <paramref name="below"/> itself.</summary>
    /// <inheritdoc cref="TransferStore(BlockStore, IReadOnlyList{ITransfer}, ulong, bool)"/>
    public static BlockStore Over(
        BlockStore below, IReadOnlyList<ITransfer> pipeline, ulong firstSector, bool allowDiscards)
    {
        ArgumentNullException.ThrowIfNull(pipeline);
        if (pipeline.Any(transfer => !transfer.IsIdentity))
            return new TransferStore(below, pipeline, firstSector, allowDiscards);
        foreach (ITransfer identity in pipeline)
            identity.Dispose();
        return below;
    }

    /// <inheritdoc/>
    public override Errno Read(long offset, Span<byte> destination)
    {
        Errno error = CheckRead(offset, destination);
        if (error != Errno.None || destination.IsEmpty)
            return error;
        using (_ranges.Enter(offset, destination.Length, exclusive: false))
            error = ReadSectors(offset, destination);
        if (error != Errno.None)
            destination.Clear();
        return error;
    }

    /// <inheritdoc/>
    public override Errno Write(long offset, ReadOnlySpan<byte> source, Span<byte> scratch, bool durable = false)
    {
        Errno error = CheckWrite(offset, source.Length);
        if (error != Errno.None || source.IsEmpty)
            return error;
        if (scratch.Length < MinScratchBytes)
            return Errno.EINVAL;

        // The store below may need scratch memory of its own.
        Span<byte> spare = HasSpare(scratch) ? scratch[^MinScratchBytes..] : stackalloc byte[MinScratchBytes];
        Span<byte> stored = RoomForSectors(scratch);
        bool isPartial = Within(offset) != 0 || Within(source.Length) != 0;
        using StripedRangeLock.Hold hold = _ranges.Enter(offset, source.Length, exclusive: isPartial);
        while (error == Errno.None && !source.IsEmpty)
        {
            int count = Math.Min(source.Length, stored.Length - Within(offset));
            error = WriteSectors(offset, source[..count], stored, spare, durable);
            offset += count;
            source = source[count..];
        }
        return error;
    }

    /// <inheritdoc/>
    public override Errno Discard(long offset, long length)
    {
        Errno error = CheckWrite(offset, length);
        if (error != Errno.None || length == 0)
            return error;
        if (!_allowDiscards)
            return Errno.EOPNOTSUPP;
        long first = RoundUp(offset), end = RoundDown(offset + length);
        if (first < end)
        {
            using StripedRangeLock.Hold hold = _ranges.Enter(first, end - first, exclusive: false);
            error = Below.Discard(first, end - first);
        }
        return error == Errno.None ? ZeroPartialSectors(offset, offset + length) : error;
    }

    /// <inheritdoc/>
    public override Errno WriteZeroes(long offset, long length, Span<byte> scratch)
    {
        Errno error = CheckWrite(offset, length);
        if (error != Errno.None || length == 0)
            return error;
        if (scratch.Length < MinScratchBytes)
            return Errno.EINVAL;
        long first = RoundUp(offset), end = RoundDown(offset + length);
        if (first < end)
            error = _allowDiscards ? ZeroBelow(first, end, scratch) : WriteEncodedZeroes(first, end, scratch);
        return error == Errno.None ? ZeroPartialSectors(offset, offset + length) : error;
    }

    /// <inheritdoc/>
    /// <remarks>A hole below decodes to anything but zeros, so all is data here, unless discards are allowed.</remarks>
    public override Errno Seek(SeekTarget target, long offset, out long found)
    {
        found = 0;
        long length = Length;
        if (offset < 0 || offset >= length)
            return Errno.ENXIO;
        if (_allowDiscards)
            return target == SeekTarget.Data ? SeekData(offset, out found) : SeekHole(offset, length, out found);
        found = target == SeekTarget.Data ? offset : length;
        return Errno.None;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (!disposing)
            return;
        foreach (ITransfer transfer in _pipeline)
            transfer.Dispose();
        _ranges.Dispose();
    }

    private static bool IsSectorSize(int bytes) =>
        bytes is >= MinSectorBytes and <= MaxSectorBytes && BitOperations.IsPow2(bytes);

    private static bool IsZero(ReadOnlySpan<byte> bytes) => !bytes.ContainsAnyExcept((byte)0);

    private static bool HasSpare(Span<byte> scratch) => scratch.Length >= 2 * MinScratchBytes;

    /// <summary>What of the scratch memory is for encoded sectors: all but the spare part, rounded down to sectors.</summary>
    private Span<byte> RoomForSectors(Span<byte> scratch) =>
        scratch[..(int)RoundDown(HasSpare(scratch) ? scratch.Length - MinScratchBytes : scratch.Length)];

    /// <summary>How far into its sector an offset is.</summary>
    private int Within(long offset) => (int)(offset & (_sectorBytes - 1));

    private long RoundDown(long offset) => offset & -(long)_sectorBytes;

    private long RoundUp(long offset) => RoundDown(offset + _sectorBytes - 1);

    private ulong SectorAt(long offset) => FirstSector + (ulong)(offset / MinSectorBytes);

    private Errno ReadSectors(long offset, Span<byte> destination)
    {
        if (Within(offset) is var lead and > 0)
        {
            int count = Math.Min(_sectorBytes - lead, destination.Length);
            Errno error = ReadPartOfSector(offset, destination[..count]);
            if (error != Errno.None)
                return error;
            offset += count;
            destination = destination[count..];
        }
        int tail = Within(destination.Length);
        Span<byte> whole = destination[..^tail];
        if (!whole.IsEmpty)
        {
            Errno error = ReadWholeSectors(offset, whole);
            if (error != Errno.None)
                return error;
        }
        return tail == 0 ? Errno.None : ReadPartOfSector(offset + whole.Length, destination[^tail..]);
    }

    private Errno ReadPartOfSector(long offset, Span<byte> destination)
    {
        Span<byte> sector = stackalloc byte[MaxSectorBytes];
        sector = sector[.._sectorBytes];
        Errno error = ReadWholeSectors(RoundDown(offset), sector);
        sector.Slice(Within(offset), destination.Length).CopyTo(destination);
        return error;
    }

    private Errno ReadWholeSectors(long offset, Span<byte> destination)
    {
        Errno error = Below.Read(offset, destination);
        if (error == Errno.None && _allowDiscards)
            DecodeAroundHoles(destination, offset);
        else if (error == Errno.None)
            Decode(destination, offset);
        return error;
    }

    private void DecodeAroundHoles(Span<byte> data, long offset)
    {
        int done = 0;
        while (done < data.Length)
        {
            int end = done;
            while (end < data.Length && !IsZero(data.Slice(end, _sectorBytes)))
                end += _sectorBytes;
            if (end > done)
                Decode(data[done..end], offset + done);
            // At a hole now, or at the end.
            done = Math.Min(end + _sectorBytes, data.Length);
        }
    }

    private void Decode(Span<byte> data, long offset)
    {
        for (int i = _transfers.Length - 1; i >= 0; i--)
            _transfers[i].Decode(data, SectorAt(offset));
    }

    /// <summary>Encodes whole sectors; EIO where the stored form would be taken for a hole.</summary>
    private Errno Encode(ReadOnlySpan<byte> plain, Span<byte> stored, long offset)
    {
        _transfers[0].Encode(plain, stored, SectorAt(offset));
        for (int i = 1; i < _transfers.Length; i++)
            _transfers[i].Encode(stored, stored, SectorAt(offset));
        if (!_allowDiscards)
            return Errno.None;
        for (int i = 0; i < stored.Length; i += _sectorBytes)
        {
            if (IsZero(stored.Slice(i, _sectorBytes)) && !IsZero(plain.Slice(i, _sectorBytes)))
                return Errno.EIO;
        }
        return Errno.None;
    }

    /// <summary>Writes what fits into the memory for stored sectors in one piece, whole sectors and the parts at its
    /// ends.</summary>
    private Errno WriteSectors(long offset, ReadOnlySpan<byte> source, Span<byte> stored, Span<byte> spare, bool durable)
    {
        // Positions in the memory for stored sectors, whose first byte is that of the first sector.
        int lead = Within(offset);
        int end = lead + source.Length;
        int firstWhole = (int)RoundUp(lead), endOfWhole = (int)RoundDown(end);
        long start = offset - lead;
        stored = stored[..(int)RoundUp(end)];

        Errno error = Errno.None;
        if (lead < firstWhole)
        {
            int count = Math.Min(firstWhole - lead, source.Length);
            error = EncodeChangedSector(offset, source[..count], stored[.._sectorBytes]);
        }
        // A part at the end, unless it lies in the same sector as that at the beginning.
        if (error == Errno.None && endOfWhole < end && endOfWhole >= firstWhole)
            error = EncodeChangedSector(start + endOfWhole, source[(endOfWhole - lead)..], stored[endOfWhole..]);
        if (error == Errno.None && firstWhole < endOfWhole)
        {
            error = Encode(
                source[(firstWhole - lead)..(endOfWhole - lead)], stored[firstWhole..endOfWhole], start + firstWhole);
        }
        return error == Errno.None ? Below.Write(start, stored, spare, durable) : error;
    }

    /// <summary>Reads the sector that some bytes belong to, and encodes it with them in it.</summary>
    private Errno EncodeChangedSector(long offset, ReadOnlySpan<byte> changed, Span<byte> stored)
    {
        Span<byte> plain = stackalloc byte[MaxSectorBytes];
        plain = plain[.._sectorBytes];
        Errno error = ReadWholeSectors(RoundDown(offset), plain);
        if (error != Errno.None)
            return error;
        changed.CopyTo(plain[Within(offset)..]);
        return Encode(plain, stored, RoundDown(offset));
    }

    private Errno ZeroBelow(long offset, long end, Span<byte> scratch)
    {
        using StripedRangeLock.Hold hold = _ranges.Enter(offset, end - offset, exclusive: false);
        return Below.WriteZeroes(offset, end - offset, scratch);
    }

    private Errno WriteEncodedZeroes(long offset, long end, Span<byte> scratch)
    {
        Span<byte> spare = HasSpare(scratch) ? scratch[^MinScratchBytes..] : stackalloc byte[MinScratchBytes];
        Span<byte> stored = RoomForSectors(scratch);
        Errno error = Errno.None;
        while (error == Errno.None && offset < end)
        {
            Span<byte> piece = stored[..(int)Math.Min(stored.Length, end - offset)];
            piece.Clear();
            error = Encode(piece, piece, offset);
            if (error != Errno.None)
                break;
            // Piece by piece, so that a long request does not keep others out of all of its range.
            using StripedRangeLock.Hold hold = _ranges.Enter(offset, piece.Length, exclusive: false);
            error = Below.Write(offset, piece, spare);
            offset += piece.Length;
        }
        return error;
    }

    /// <summary>Zeroes what of a range is not whole sectors.</summary>
    private Errno ZeroPartialSectors(long offset, long end)
    {
        long firstWhole = RoundUp(offset), endOfWhole = RoundDown(end);
        if (firstWhole == offset && endOfWhole == end)
            return Errno.None;
        Span<byte> scratch = stackalloc byte[MinScratchBytes];
        Errno error = Errno.None;
        if (offset < firstWhole)
            error = Write(offset, ZeroSector.AsSpan(0, (int)(Math.Min(firstWhole, end) - offset)), scratch);
        if (error == Errno.None && endOfWhole < end && endOfWhole >= firstWhole)
            error = Write(endOfWhole, ZeroSector.AsSpan(0, (int)(end - endOfWhole)), scratch);
        return error;
    }

    private Errno SeekData(long offset, out long found)
    {
        Errno error = Below.Seek(SeekTarget.Data, RoundDown(offset), out found);
        if (error == Errno.None && found >= Length)
            error = Errno.ENXIO;
        found = error == Errno.None ? Math.Max(RoundDown(found), offset) : 0;
        return error;
    }

    /// <summary>Finds a sector without any data: a hole below may begin or end within one.</summary>
    private Errno SeekHole(long offset, long length, out long found)
    {
        found = 0;
        for (long from = RoundDown(offset); from < length;)
        {
            Errno error = Below.Seek(SeekTarget.Hole, from, out long hole);
            if (error != Errno.None)
                return error;
            hole = RoundUp(hole);
            if (hole >= length)
                break;
            error = Below.Seek(SeekTarget.Data, hole, out long data);
            if (error is not (Errno.None or Errno.ENXIO))
                return error;
            if (error == Errno.ENXIO || data >= hole + _sectorBytes)
            {
                found = Math.Max(hole, offset);
                return Errno.None;
            }
            from = hole + _sectorBytes;
        }
        found = length;
        return Errno.None;
    }
}
