using System.Buffers.Binary;
using LoopDaemon.Linux;

namespace LoopDaemon.Daemon.Survival;

/// <summary>Records in a memory file that outlives this process: one cell for the daemon, one for each device. Writing one
/// costs the same however many there are, and a process that is killed at any point leaves the old or the new one.
///
/// A cell is two halves of 512 KiB, most of them holes, each <c>{ i64 sequence, i32 length, i32 0, bytes }</c>. The half with
/// the higher sequence counts; the other one is written next, its head last. A head lies within a page, and the kernel copies
/// what lies within a page in one go: a kill comes before it or after it.</summary>
internal sealed class StateFile : IDisposable
{
    /// <summary>The longest record in bytes.</summary>
    internal const int MaxRecordBytes = HalfBytes - HeadBytes;

    private const string Name = "loopd-state";
    private const int HalfBytes = 512 * 1024;
    private const int CellBytes = 2 * HalfBytes;
    private const int HeadBytes = 16;
    private const int Removed = -1;

    /// <summary>Takes over a memory file.</summary>
    /// <param name="file">The file, which this object owns from now on.</param>
    internal StateFile(FileDescriptor file) => File = file;

    /// <summary>Makes an empty one.</summary>
    internal StateFile() : this(FileDescriptor.CreateMemory(Name, 0))
    {
    }

    /// <summary>What /proc shows as the target of a descriptor of such a file.</summary>
    internal static string LinkTarget => $"/memfd:{Name} (deleted)";

    /// <summary>The memory file, for a descriptor store.</summary>
    internal FileDescriptor File { get; }

    /// <summary>The cells that hold a record, ascending.</summary>
    internal IEnumerable<int> Cells()
    {
        for (long at = 0; File.Seek(SeekTarget.Data, at, out long data) == Errno.None; at = (data / CellBytes + 1) * CellBytes)
        {
            int cell = (int)(data / CellBytes);
            if (Read(cell) is not null)
                yield return cell;
        }
    }

    /// <summary>The record of a cell, or null.</summary>
    internal byte[]? Read(int cell)
    {
        long half = Newest(cell, out _, out int length);
        if (length <= 0)
            return null;
        byte[] record = new byte[length];
        Require(File.ReadAt(half + HeadBytes, record, out int count), cell);
        return count == length ? record : null;
    }

    /// <summary>Replaces the record of a cell.</summary>
    /// <exception cref="LinuxException">It is too long, or there is no memory left; the old record stays.</exception>
    internal void Write(int cell, ReadOnlySpan<byte> record)
    {
        if (record.Length > MaxRecordBytes)
            throw LinuxException.WithMessage(Errno.E2BIG, $"a record of {record.Length} bytes is longer than {MaxRecordBytes}");
        long next = Other(cell, Newest(cell, out long sequence, out _));
        WriteHead(next, 0, 0, cell);
        Require(File.WriteAt(next + HeadBytes, record), cell);
        WriteHead(next, sequence + 1, record.Length, cell);
    }

    /// <summary>Empties a cell and gives its memory back.</summary>
    internal void Remove(int cell)
    {
        long newest = Newest(cell, out long sequence, out int length);
        if (length == 0)
            return;
        // First the cell says by either half that there is nothing; only then the halves may go, in whatever order.
        WriteHead(Other(cell, newest), sequence + 1, Removed, cell);
        WriteHead(newest, 0, 0, cell);
        Require(File.Allocate(AllocateMode.PunchHole | AllocateMode.KeepSize, (long)cell * CellBytes, CellBytes), cell);
    }

    public void Dispose() => File.Dispose();

    /// <summary>Where the half that counts begins.</summary>
    private long Newest(int cell, out long sequence, out int length)
    {
        long first = (long)cell * CellBytes, second = first + HalfBytes;
        ReadHead(first, out long firstSequence, out int firstLength);
        ReadHead(second, out long secondSequence, out int secondLength);
        (long start, sequence, length) = firstSequence >= secondSequence
            ? (first, firstSequence, firstLength) : (second, secondSequence, secondLength);
        return start;
    }

    private static long Other(int cell, long half)
    {
        long first = (long)cell * CellBytes;
        return half == first ? first + HalfBytes : first;
    }

    private void ReadHead(long half, out long sequence, out int length)
    {
        Span<byte> head = stackalloc byte[HeadBytes];
        head.Clear();
        _ = File.ReadAt(half, head, out _);
        sequence = BinaryPrimitives.ReadInt64LittleEndian(head);
        length = BinaryPrimitives.ReadInt32LittleEndian(head[8..]);
    }

    private void WriteHead(long half, long sequence, int length, int cell)
    {
        Span<byte> head = stackalloc byte[HeadBytes];
        head.Clear();
        BinaryPrimitives.WriteInt64LittleEndian(head, sequence);
        BinaryPrimitives.WriteInt32LittleEndian(head[8..], length);
        Require(File.WriteAt(half, head), cell);
    }

    private static void Require(Errno error, int cell)
    {
        if (error != Errno.None)
            throw new LinuxException(error, $"cannot keep record {cell} of the daemon's state");
    }
}
