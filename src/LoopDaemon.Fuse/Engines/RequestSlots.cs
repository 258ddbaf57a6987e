using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using LoopDaemon.Fuse.Wire;
using LoopDaemon.Linux;

namespace LoopDaemon.Fuse.Engines;

/// <summary>How far the request in a slot has come. The order of the values is the order of events.</summary>
internal enum SlotState : long
{
    /// <summary>Nothing, or a request that the kernel is copying in.</summary>
    Reading = 0,
    /// <summary>A whole request, not yet carried out.</summary>
    Read = 1,
    /// <summary>Carried out, its result noted, not yet answered.</summary>
    Done = 2,
    /// <summary>Answered.</summary>
    Answered = 3,
}

/// <summary>The memory that requests are read into: one slot per reader thread in a memory file. A request stays intact
/// in its slot until it is answered, so whoever holds the memory file after a crash can carry it out.
///
/// A slot is a control page <c>{ i64 fd, i64 state, i64 result }</c>, then the request: 4096 - 80 unused bytes, the
/// 40-byte header and 40 bytes of arguments, so that written data begins on a page, then up to 1 MiB of data and a page
/// to spare.</summary>
internal sealed class RequestSlots : IDisposable
{
    private const int ControlBytes = 4096;
    private const int DataOffset = ControlBytes + 4096;
    private const int RequestOffset = DataOffset - InHeader.Size - TransferIn.Size;
    private const int SlotBytes = DataOffset + FuseSession.MaxDataBytes + 4096;

    private readonly PageMemory _memory;

    /// <summary>Makes empty slots.</summary>
    internal RequestSlots(int count) : this(FileDescriptor.CreateMemory("loopd-slots", (long)count * SlotBytes), count)
    {
    }

    /// <summary>Takes over the slots of a memory file, and makes more where it has too few.</summary>
    /// <param name="file">The file, which these slots own from now on.</param>
    /// <param name="least">How many are needed.</param>
    /// <exception cref="LinuxException">There is no memory left.</exception>
    internal RequestSlots(FileDescriptor file, int least)
    {
        File = file;
        _ = file.GetStatus(out FileStatus status);
        Count = Math.Max(least, (int)(status.SizeBytes / SlotBytes));
        Errno error = file.SetLength((long)Count * SlotBytes);
        if (error != Errno.None)
            throw new LinuxException(error, $"cannot make {Count} request slots");
        _memory = PageMemory.Share(file, 0, Count * SlotBytes);
    }

    /// <summary>How many there are.</summary>
    internal int Count { get; }

    /// <summary>The memory file, for a descriptor store.</summary>
    internal FileDescriptor File { get; }

    /// <summary>Whether the memory could be locked.</summary>
    internal Errno LockResult => _memory.LockResult;

    internal Slot this[int index] => new(_memory, index * SlotBytes);

    public void Dispose()
    {
        _memory.Dispose();
        File.Dispose();
    }

    /// <summary>One slot. Only its reader thread writes to it.</summary>
    internal readonly struct Slot(PageMemory memory, int start)
    {
        /// <summary>Where the kernel puts the next request.</summary>
        internal Span<byte> Request => memory.Span(start + RequestOffset, SlotBytes - RequestOffset);

        /// <summary>The kernel's id of the request in the slot; 0 is none.</summary>
        internal ulong RequestId => Volatile.Read(ref Unique);

        /// <summary>The request's length by its own header, in bytes.</summary>
        internal uint RequestLength => Volatile.Read(ref Length);

        /// <summary>How far the request has come.</summary>
        internal SlotState Progress => (SlotState)Volatile.Read(ref State);

        /// <summary>What <see cref="MarkDone"/> noted.</summary>
        internal int NotedResult => (int)Volatile.Read(ref Result);

        private ref long Descriptor => ref Control(0);

        private ref long State => ref Control(8);

        private ref long Result => ref Control(16);

        private ref ulong Unique => ref MemoryMarshal.AsRef<InHeader>(Request).Unique;

        private ref uint Length => ref MemoryMarshal.AsRef<InHeader>(Request).Length;

        /// <summary>Makes the slot ready for a read: whatever it shows after a crash is then the kernel's doing.</summary>
        internal void Clear(int descriptor)
        {
            Volatile.Write(ref Unique, 0);
            Volatile.Write(ref Length, 0);
            Volatile.Write(ref Descriptor, descriptor);
            Volatile.Write(ref State, (long)SlotState.Reading);
        }

        internal void MarkRead() => Volatile.Write(ref State, (long)SlotState.Read);

        /// <summary>Notes what a request that changes something came to, so that it need not be done twice.</summary>
        internal void MarkDone(int result)
        {
            Volatile.Write(ref Result, result);
            Volatile.Write(ref State, (long)SlotState.Done);
        }

        internal void MarkAnswered()
        {
            Volatile.Write(ref State, (long)SlotState.Answered);
            Volatile.Write(ref Unique, 0);
        }

        private ref long Control(int offset) => ref Unsafe.As<byte, long>(ref memory.Span(start + offset, 8)[0]);
    }
}
