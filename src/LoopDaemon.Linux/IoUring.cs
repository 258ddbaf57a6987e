using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace LoopDaemon.Linux;

/// <summary>A ring of io_uring(7), as far as device commands (IORING_OP_URING_CMD) need it: io_uring_setup(2),
/// io_uring_enter(2) and <c>linux/io_uring.h</c>. Its entries have 128 bytes (IORING_SETUP_SQE128) and room for a command of
/// 80. A ring belongs to the thread that made it; completions arrive only while that thread is in <see cref="Enter"/>
/// (IORING_SETUP_SINGLE_ISSUER, IORING_SETUP_DEFER_TASKRUN). Needs Linux 6.6.</summary>
public sealed unsafe class IoUring : IDisposable
{
    private const int EntryBytes = 128, MaxCommandBytes = 80, CommandOffset = 48;

    private readonly FileDescriptor _file;
    private readonly byte* _rings;
    private readonly nuint _ringsBytes;
    private readonly byte* _entries;
    private readonly uint _entryCount;
    private readonly Libc.IoVector* _vectors;
    private readonly uint* _submissionHead;
    private readonly uint* _submissionTail;
    private readonly uint* _completionHead;
    private readonly uint* _completionTail;
    private readonly Completion* _completions;
    private readonly uint _completionMask;
    private bool _disposed;

    private IoUring(FileDescriptor file, in Parameters parameters, byte* rings, nuint ringsBytes, byte* entries)
    {
        _file = file;
        _rings = rings;
        _ringsBytes = ringsBytes;
        _entries = entries;
        _entryCount = parameters.SubmissionEntries;
        _vectors = (Libc.IoVector*)NativeMemory.AllocZeroed(_entryCount * 2, (nuint)sizeof(Libc.IoVector));
        _submissionHead = (uint*)(rings + parameters.Submission.Head);
        _submissionTail = (uint*)(rings + parameters.Submission.Tail);
        _completionHead = (uint*)(rings + parameters.Completion.Head);
        _completionTail = (uint*)(rings + parameters.Completion.Tail);
        _completionMask = *(uint*)(rings + parameters.Completion.RingMask);
        _completions = (Completion*)(rings + parameters.Completion.Entries);
    }

    /// <summary>Makes a ring that belongs to the calling thread.</summary>
    /// <param name="entries">How many operations may be under way at a time.</param>
    /// <param name="ring">The ring, or null on error.</param>
    /// <returns>EPERM: forbidden by <c>kernel.io_uring_disabled</c> or a seccomp filter. ENOSYS: likewise, or the kernel has
    /// none. EINVAL: the kernel is older than 6.6. ENOMEM: no memory, or RLIMIT_MEMLOCK is too low.</returns>
    public static Errno TryCreate(int entries, out IoUring? ring)
    {
        const uint Sqe128 = 1 << 10, SingleIssuer = 1 << 12, DeferTaskRun = 1 << 13, NoSubmissionArray = 1 << 16;
        const int ReadWrite = 3, Shared = 1, Populate = 0x8000;
        const long EntriesOffset = 0x10000000;

        ring = null;
        var parameters = new Parameters { Flags = Sqe128 | SingleIssuer | DeferTaskRun | NoSubmissionArray };
        int fd = Libc.io_uring_setup((uint)entries, &parameters);
        if (fd < 0)
            return LastError.Get();
        var file = new FileDescriptor(fd);

        // One mapping holds both rings (IORING_FEAT_SINGLE_MMAP, Linux 5.4), the completions last.
        nuint ringsBytes = parameters.Completion.Entries + parameters.CompletionEntries * (nuint)sizeof(Completion);
        void* rings = Libc.mmap(null, ringsBytes, ReadWrite, Shared | Populate, fd, 0);
        Errno error = (nint)rings == -1 ? LastError.Get() : Errno.None;
        if (error == Errno.None)
        {
            void* submissions = Libc.mmap(null, parameters.SubmissionEntries * EntryBytes, ReadWrite, Shared | Populate, fd, EntriesOffset);
            error = (nint)submissions == -1 ? LastError.Get() : Errno.None;
            if (error == Errno.None)
            {
                ring = new IoUring(file, in parameters, (byte*)rings, ringsBytes, (byte*)submissions);
                return Errno.None;
            }
            _ = Libc.munmap(rings, ringsBytes);
        }
        file.Dispose();
        return error;
    }

    /// <summary>Queues a device command (IORING_OP_URING_CMD).</summary>
    /// <param name="file">The device.</param>
    /// <param name="operation">The command's code.</param>
    /// <param name="id">Comes back with the completion.</param>
    /// <param name="command">The command's structure, at most 80 bytes.</param>
    public void PrepareCommand<T>(FileDescriptor file, uint operation, ulong id, in T command) where T : unmanaged =>
        PrepareCommand(file, operation, id, in command, default, default);

    /// <summary>Queues a device command with two pieces of memory, which the kernel takes as an array of iovec.</summary>
    /// <param name="file">The device.</param>
    /// <param name="operation">The command's code.</param>
    /// <param name="id">Comes back with the completion.</param>
    /// <param name="command">The command's structure, at most 80 bytes.</param>
    /// <param name="first">The first piece, of <see cref="PageMemory"/>: it must stay where it is.</param>
    /// <param name="second">The second piece, likewise.</param>
    public void PrepareCommand<T>(
        FileDescriptor file, uint operation, ulong id, in T command, Span<byte> first, Span<byte> second) where T : unmanaged
    {
        const byte UringCommand = 46;
        ArgumentOutOfRangeException.ThrowIfGreaterThan(sizeof(T), MaxCommandBytes);
        Entry* entry = Next(UringCommand, file, id, out Libc.IoVector* vectors);
        entry->Offset = operation;
        Unsafe.Write((byte*)entry + CommandOffset, command);
        if (!first.IsEmpty)
        {
            vectors[0] = new Libc.IoVector { Start = Unsafe.AsPointer(ref MemoryMarshal.GetReference(first)), Length = (nuint)first.Length };
            vectors[1] = new Libc.IoVector { Start = Unsafe.AsPointer(ref MemoryMarshal.GetReference(second)), Length = (nuint)second.Length };
            entry->Address = (ulong)vectors;
            entry->Length = 2;
        }
        Publish();
    }

    /// <summary>Queues a wait for the end of a file: an error or hang-up, which poll(2) reports unasked (IORING_OP_POLL_ADD).</summary>
    /// <param name="file">The file.</param>
    /// <param name="id">Comes back with the completion.</param>
    public void PrepareWaitForEnd(FileDescriptor file, ulong id)
    {
        const byte PollAdd = 6;
        Next(PollAdd, file, id, out _);
        Publish();
    }

    /// <summary>Hands over what is queued, and takes in what has completed.</summary>
    /// <param name="wait">Whether to wait until at least one operation has completed.</param>
    /// <returns>An error only where the ring is of no use any more.</returns>
    public Errno Enter(bool wait)
    {
        const uint GetEvents = 1;
        while (true)
        {
            uint queued = *_submissionTail - Volatile.Read(ref *_submissionHead);
            int taken = Libc.io_uring_enter(_file.Number, queued, wait ? 1u : 0, GetEvents);
            if (taken >= 0)
                return Errno.None;
            Errno error = LastError.Get();
            // EAGAIN: the kernel has no memory for a request at this moment.
            if (error is not (Errno.EINTR or Errno.EAGAIN))
                return error;
        }
    }

    /// <summary>Takes the next completion.</summary>
    /// <param name="id">Which operation.</param>
    /// <param name="result">What it came to: not negative, or an error number, negative.</param>
    /// <returns>False where none is left.</returns>
    public bool TryTake(out ulong id, out int result)
    {
        uint head = *_completionHead;
        if (head == Volatile.Read(ref *_completionTail))
        {
            id = 0;
            result = 0;
            return false;
        }
        Completion completion = _completions[head & _completionMask];
        Volatile.Write(ref *_completionHead, head + 1);
        (id, result) = (completion.Id, completion.Result);
        return true;
    }

    /// <summary>Closes the ring; the kernel cancels what is under way.</summary>
    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        _ = Libc.munmap(_entries, _entryCount * EntryBytes);
        _ = Libc.munmap(_rings, _ringsBytes);
        NativeMemory.Free(_vectors);
        _file.Dispose();
    }

    private Entry* Next(byte operation, FileDescriptor file, ulong id, out Libc.IoVector* vectors)
    {
        uint tail = *_submissionTail;
        if (tail - Volatile.Read(ref *_submissionHead) == _entryCount)
            throw new InvalidOperationException("more is queued than the ring has entries");
        uint place = tail & (_entryCount - 1);
        Entry* entry = (Entry*)(_entries + place * EntryBytes);
        NativeMemory.Clear(entry, EntryBytes);
        entry->Operation = operation;
        entry->File = file.Number;
        entry->Id = id;
        vectors = _vectors + place * 2;
        return entry;
    }

    private void Publish() => Volatile.Write(ref *_submissionTail, *_submissionTail + 1);

    /// <summary><c>struct io_uring_params</c>: 120 bytes.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Parameters
    {
        public uint SubmissionEntries;
        public uint CompletionEntries;
        public uint Flags;
        private readonly uint _threadCpu;
        private readonly uint _threadIdle;
        public uint Features;
        private readonly uint _workers;
        private readonly uint _reserved0;
        private readonly ulong _reserved1;
        public SubmissionOffsets Submission;
        public CompletionOffsets Completion;
    }

    /// <summary><c>struct io_sqring_offsets</c>.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 40)]
    internal struct SubmissionOffsets
    {
        public uint Head;
        public uint Tail;
    }

    /// <summary><c>struct io_cqring_offsets</c>.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 40)]
    internal struct CompletionOffsets
    {
        public uint Head;
        public uint Tail;
        public uint RingMask;
        public uint RingEntries;
        public uint Overflow;
        public uint Entries;
    }

    /// <summary>The first 48 bytes of <c>struct io_uring_sqe</c>; a command's code lies where other operations have their offset.</summary>
    [StructLayout(LayoutKind.Explicit, Size = CommandOffset)]
    private struct Entry
    {
        [FieldOffset(0)] public byte Operation;
        [FieldOffset(4)] public int File;
        [FieldOffset(8)] public ulong Offset;
        [FieldOffset(16)] public ulong Address;
        [FieldOffset(24)] public uint Length;
        [FieldOffset(32)] public ulong Id;
    }

    /// <summary><c>struct io_uring_cqe</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Completion
    {
        public ulong Id;
        public int Result;
        public uint Flags;
    }
}
