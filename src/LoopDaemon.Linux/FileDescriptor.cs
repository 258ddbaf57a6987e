using Microsoft.Win32.SafeHandles;

namespace LoopDaemon.Linux;

/// <summary>Flags of open(2), with the values of x86-64 and arm64 where these agree.</summary>
[Flags]
public enum OpenFlags
{
    /// <summary>O_RDONLY.</summary>
    ReadOnly = 0,
    /// <summary>O_WRONLY.</summary>
    WriteOnly = 1,
    /// <summary>O_RDWR.</summary>
    ReadWrite = 2,
    /// <summary>The bits that hold one of the three above (O_ACCMODE).</summary>
    AccessMode = 3,
    /// <summary>O_CREAT.</summary>
    Create = 0x40,
    /// <summary>O_EXCL.</summary>
    Exclusive = 0x80,
    /// <summary>O_TRUNC.</summary>
    Truncate = 0x200,
    /// <summary>O_APPEND.</summary>
    Append = 0x400,
    /// <summary>O_NONBLOCK.</summary>
    NonBlocking = 0x800,
    /// <summary>O_DSYNC: a write returns when its data is on the medium.</summary>
    DataSync = 0x1000,
    /// <summary>O_CLOEXEC; every descriptor here is opened with it.</summary>
    CloseOnExec = 0x80000,
    /// <summary>O_PATH: names a file without opening it.</summary>
    PathOnly = 0x200000,
}

/// <summary>Modes of fallocate(2).</summary>
[Flags]
public enum AllocateMode
{
    /// <summary>Reserve space.</summary>
    Allocate = 0,
    /// <summary>FALLOC_FL_KEEP_SIZE.</summary>
    KeepSize = 1,
    /// <summary>FALLOC_FL_PUNCH_HOLE; only with <see cref="KeepSize"/>.</summary>
    PunchHole = 2,
    /// <summary>FALLOC_FL_ZERO_RANGE.</summary>
    ZeroRange = 0x10,
}

/// <summary>What to look for with lseek(2).</summary>
public enum SeekTarget
{
    /// <summary>SEEK_DATA.</summary>
    Data = 3,
    /// <summary>SEEK_HOLE.</summary>
    Hole = 4,
}

/// <summary>An owned file descriptor and the system calls on it. Calls return an <see cref="Errno"/>, so that the data
/// path neither throws nor allocates; a call that was interrupted by a signal is made again.</summary>
public sealed class FileDescriptor : SafeHandleMinusOneIsInvalid
{
    /// <summary>Takes ownership of an open descriptor.</summary>
    public FileDescriptor(int number) : base(ownsHandle: true) => SetHandle(number);

    /// <summary>The descriptor's number. The owner must keep this object alive and undisposed while it is used.</summary>
    public int Number => (int)handle;

    /// <summary>O_DIRECT, whose value differs between architectures (asm/fcntl.h).</summary>
    public static OpenFlags Direct { get; } =
        System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture
            is System.Runtime.InteropServices.Architecture.Arm64 or System.Runtime.InteropServices.Architecture.Arm
            ? (OpenFlags)0x10000 : (OpenFlags)0x4000;

    /// <summary>Opens a path, close-on-exec.</summary>
    /// <param name="path">The path.</param>
    /// <param name="flags">How to open it.</param>
    /// <param name="opened">The descriptor, or null on error.</param>
    /// <param name="permissions">The mode of a file that is created.</param>
    public static Errno TryOpen(string path, OpenFlags flags, out FileDescriptor? opened, uint permissions = 0)
    {
        while (true)
        {
            int fd = Libc.open(path, (int)(flags | OpenFlags.CloseOnExec), permissions);
            Errno error = fd < 0 ? LastError.Get() : Errno.None;
            if (error == Errno.EINTR)
                continue;
            opened = fd < 0 ? null : new FileDescriptor(fd);
            return error;
        }
    }

    /// <summary>Opens a path, close-on-exec.</summary>
    /// <exception cref="LinuxException">It cannot be opened.</exception>
    public static FileDescriptor Open(string path, OpenFlags flags, uint permissions = 0)
    {
        Errno error = TryOpen(path, flags, out FileDescriptor? opened, permissions);
        return error == Errno.None ? opened! : throw new LinuxException(error, $"cannot open {path}");
    }

    /// <summary>Makes an anonymous file in memory (memfd_create(2)), close-on-exec.</summary>
    /// <param name="name">A name for /proc, without meaning otherwise.</param>
    /// <param name="sizeBytes">Its size.</param>
    /// <exception cref="LinuxException">There is no memory or no descriptor left.</exception>
    public static FileDescriptor CreateMemory(string name, long sizeBytes)
    {
        const uint CloseOnExec = 1;
        int fd = Libc.memfd_create(name, CloseOnExec);
        if (fd < 0)
            throw new LinuxException(LastError.Get(), $"cannot create the memory file {name}");
        var memory = new FileDescriptor(fd);
        if (Libc.ftruncate(fd, sizeBytes) == 0)
            return memory;
        Errno error = LastError.Get();
        memory.Dispose();
        throw new LinuxException(error, $"cannot give the memory file {name} {sizeBytes} bytes");
    }

    /// <summary>A second descriptor of the same open file description, close-on-exec.</summary>
    /// <exception cref="LinuxException">No descriptor is left.</exception>
    public FileDescriptor Duplicate() => Duplicate(0);

    /// <summary>Keeps the descriptor from programs that this process executes (FD_CLOEXEC).</summary>
    public Errno CloseOnExec()
    {
        const int SetDescriptorFlags = 2, CloseOnExecFlag = 1;
        return Check(Libc.fcntl(Number, SetDescriptorFlags, CloseOnExecFlag));
    }

    /// <summary>A second descriptor of the same open file description, close-on-exec, whose number is not below a given one.</summary>
    /// <exception cref="LinuxException">No such descriptor is left.</exception>
    public FileDescriptor Duplicate(int leastNumber)
    {
        const int DuplicateCloseOnExec = 1030;
        int fd = Libc.fcntl(Number, DuplicateCloseOnExec, leastNumber);
        return fd >= 0 ? new FileDescriptor(fd) : throw new LinuxException(LastError.Get(), "cannot duplicate a file descriptor");
    }

    /// <summary>Whether two descriptors are of one open file description (kcmp(2)); null where the kernel does not tell: it may be
    /// built without kcmp, or a container's filter may refuse it.</summary>
    public bool? IsSameDescription(FileDescriptor other)
    {
        const int File = 0;
        int process = Environment.ProcessId;
        return Libc.kcmp(process, process, File, Number, other.Number) is var order and >= 0 ? order == 0 : null;
    }

    /// <summary>Raises this process's limit of descriptors as far as it may (RLIMIT_NOFILE).</summary>
    /// <returns>The limit.</returns>
    public static unsafe int RaiseLimit()
    {
        const int NumberOfFiles = 7;
        Libc.ResourceLimit limit;
        if (Libc.getrlimit(NumberOfFiles, &limit) != 0)
            return 1024;
        nuint before = limit.Current;
        limit.Current = limit.Greatest;
        bool isRaised = Libc.setrlimit(NumberOfFiles, &limit) == 0;
        return (int)Math.Min(isRaised ? limit.Current : before, int.MaxValue);
    }

    /// <summary>Opens the same file anew, by the kernel's own link to it (/proc/self/fd): a description with flags and a lock
    /// of its own. Works for a deleted file too.</summary>
    /// <param name="flags">How to open it.</param>
    /// <param name="opened">The descriptor, or null on error.</param>
    public Errno TryReopen(OpenFlags flags, out FileDescriptor? opened) => TryOpen($"/proc/self/fd/{Number}", flags, out opened);

    /// <summary>Has this number stand for another open file from now on (dup3(2)). Calls under way finish on the old one.</summary>
    /// <param name="other">The other; it keeps its own number.</param>
    public Errno ReplaceBy(FileDescriptor other)
    {
        Errno error;
        do
            error = Check(Libc.dup3(other.Number, Number, (int)OpenFlags.CloseOnExec));
        while (error is Errno.EINTR or Errno.EBUSY);
        return error;
    }

    /// <summary>read(2), once.</summary>
    public unsafe Errno Read(Span<byte> destination, out int count)
    {
        fixed (byte* buffer = destination)
            return Count(Libc.read(Number, buffer, (nuint)destination.Length), out count);
    }

    /// <summary>write(2), once.</summary>
    public unsafe Errno Write(ReadOnlySpan<byte> source, out int count)
    {
        fixed (byte* buffer = source)
            return Count(Libc.write(Number, buffer, (nuint)source.Length), out count);
    }

    /// <summary>Reads from a position until the span is full or the file ends.</summary>
    /// <param name="offset">Position in bytes.</param>
    /// <param name="destination">Where the bytes go.</param>
    /// <param name="count">How many were read; fewer than the span's length only at the end of the file or on error.</param>
    public unsafe Errno ReadAt(long offset, Span<byte> destination, out int count)
    {
        count = 0;
        fixed (byte* buffer = destination)
        {
            while (count < destination.Length)
            {
                nint got = Libc.pread(Number, buffer + count, (nuint)(destination.Length - count), offset + count);
                if (got == 0)
                    break;
                if (got > 0)
                    count += (int)got;
                else if (LastError.Get() is var error and not Errno.EINTR)
                    return error;
            }
        }
        return Errno.None;
    }

    /// <summary>Writes all of a span at a position.</summary>
    /// <param name="offset">Position in bytes.</param>
    /// <param name="source">The bytes.</param>
    /// <param name="durable">Return when they are on the medium (RWF_DSYNC): these alone, where <see cref="Synchronize"/>
    /// waits for all that was ever written to the file.</param>
    public unsafe Errno WriteAt(long offset, ReadOnlySpan<byte> source, bool durable = false)
    {
        const int DataSync = 2;
        int done = 0;
        fixed (byte* buffer = source)
        {
            while (done < source.Length)
            {
                var rest = new Libc.IoVector { Start = buffer + done, Length = (nuint)(source.Length - done) };
                nint put = durable
                    ? Libc.pwritev2(Number, &rest, 1, offset + done, DataSync)
                    : Libc.pwrite(Number, rest.Start, rest.Length, offset + done);
                if (put > 0)
                    done += (int)put;
                else if (put == 0)
                    return Errno.EIO;
                else if (LastError.Get() is var error and not Errno.EINTR)
                    return error;
            }
        }
        return Errno.None;
    }

    /// <summary>fallocate(2).</summary>
    public Errno Allocate(AllocateMode mode, long offset, long length)
    {
        Errno error;
        do
            error = Check(Libc.fallocate(Number, (int)mode, offset, length));
        while (error == Errno.EINTR);
        return error;
    }

    /// <summary>fsync(2), or fdatasync(2) which leaves out times and such.</summary>
    public Errno Synchronize(bool dataOnly) => Check(dataOnly ? Libc.fdatasync(Number) : Libc.fsync(Number));

    /// <summary>Sets a regular file's length.</summary>
    public Errno SetLength(long bytes) => Check(Libc.ftruncate(Number, bytes));

    /// <summary>Finds the next data or hole at or after an offset (lseek(2)); past the last data it is ENXIO.</summary>
    public Errno Seek(SeekTarget target, long offset, out long found)
    {
        found = Libc.lseek(Number, offset, (int)target);
        return found < 0 ? LastError.Get() : Errno.None;
    }

    /// <summary>The flags the descriptor was opened with (F_GETFL).</summary>
    public Errno GetFlags(out OpenFlags flags)
    {
        const int GetFlagsCommand = 3;
        int value = Libc.fcntl(Number, GetFlagsCommand, 0);
        flags = value < 0 ? default : (OpenFlags)value;
        return value < 0 ? LastError.Get() : Errno.None;
    }

    /// <summary>What the descriptor refers to.</summary>
    /// <param name="status">Its status.</param>
    /// <param name="remembered">Take what the kernel remembers, however old, and never wait for a file system's server
    /// (AT_STATX_DONT_SYNC): its device and inode are right all the same.</param>
    public unsafe Errno GetStatus(out FileStatus status, bool remembered = false)
    {
        const int AtEmptyPath = 0x1000, DontSync = 0x4000;
        Libc.StatxBuffer raw;
        return FileStatus.Finish(Libc.statx(Number, "", remembered ? AtEmptyPath | DontSync : AtEmptyPath, FileStatus.BasicStats, &raw), in raw, out status);
    }

    /// <summary>What O_DIRECT asks of an I/O on this file (statx(2), STATX_DIOALIGN, Linux 6.1): that its memory, and its
    /// offset and length, are multiples of these bytes. Where the file system does not say, 512, which then need not be
    /// enough: EINVAL tells.</summary>
    public unsafe (int Memory, int Offset) DirectAlignment()
    {
        const int AtEmptyPath = 0x1000, Default = 512;
        const uint DirectAlignmentMask = 0x2000;
        Libc.StatxBuffer raw;
        bool told = Libc.statx(Number, "", AtEmptyPath, DirectAlignmentMask, &raw) == 0
            && (raw.Mask & DirectAlignmentMask) != 0 && raw.DirectOffsetAlignment > 0;
        return told ? ((int)raw.DirectMemoryAlignment, (int)raw.DirectOffsetAlignment) : (Default, Default);
    }

    /// <summary>The logical sector size of a block device in bytes (BLKSSZGET).</summary>
    public unsafe Errno BlockDeviceSectorSize(out int bytes)
    {
        const nuint GetSectorSize = 0x1268;
        int size = 0;
        Errno error = Check(Libc.ioctl(Number, GetSectorSize, &size));
        bytes = size;
        return error;
    }

    /// <summary>Whether memory begins at a multiple of so many bytes, a power of two. The memory must be pinned or not be
    /// managed at all, for the answer to last.</summary>
    public static unsafe bool IsAligned(ReadOnlySpan<byte> memory, int alignment)
    {
        fixed (byte* address = memory)
            return ((nuint)address & (nuint)(alignment - 1)) == 0;
    }

    /// <summary>The size of a block device (BLKGETSIZE64).</summary>
    public unsafe Errno BlockDeviceSize(out long sizeBytes)
    {
        const nuint GetSize64 = 0x80081272;
        ulong size = 0;
        Errno error = Check(Libc.ioctl(Number, GetSize64, &size));
        sizeBytes = (long)size;
        return error;
    }

    /// <summary>ioctl(2) with a pointer argument.</summary>
    /// <param name="request">The request code.</param>
    /// <param name="argument">The structure; the kernel may write to it.</param>
    /// <param name="result">What the call returned when it did not fail.</param>
    public unsafe Errno Control<T>(uint request, ref T argument, out int result) where T : unmanaged
    {
        fixed (T* pointer = &argument)
            result = Libc.ioctl(Number, request, pointer);
        return result < 0 ? LastError.Get() : Errno.None;
    }

    /// <summary>ioctl(2) whose argument is a number.</summary>
    public unsafe Errno Control(uint request, nint argument, out int result)
    {
        result = Libc.ioctl(Number, request, (void*)argument);
        return result < 0 ? LastError.Get() : Errno.None;
    }

    /// <summary>Takes an exclusive flock(2) lock, which ends with the last descriptor of this open file.</summary>
    /// <param name="wait">Wait for it; otherwise EAGAIN where somebody holds it.</param>
    public Errno Lock(bool wait)
    {
        const int Exclusive = 2, NonBlocking = 4;
        Errno error;
        do
            error = Check(Libc.flock(Number, wait ? Exclusive : Exclusive | NonBlocking));
        while (error == Errno.EINTR && wait);
        return error;
    }

    /// <summary>Waits until there is something to read, the other end is closed, or the time is up.</summary>
    /// <returns><see cref="Errno.None"/> when a read will not block, <see cref="Errno.ETIMEDOUT"/> otherwise.</returns>
    public unsafe Errno WaitReadable(TimeSpan timeout)
    {
        const short PollIn = 1;
        var poll = new Libc.PollFd { Fd = Number, Events = PollIn };
        int ready = Libc.poll(&poll, 1, (int)timeout.TotalMilliseconds);
        return ready switch { > 0 => Errno.None, 0 => Errno.ETIMEDOUT, _ => LastError.Get() };
    }

    /// <summary>Waits until one of some descriptors can be read, a signal comes, or the time is up.</summary>
    /// <param name="timeout">The time.</param>
    /// <param name="numbers">The descriptors' numbers, a few; negative ones stand for none.</param>
    public static unsafe void WaitForAny(TimeSpan timeout, params ReadOnlySpan<int> numbers)
    {
        const short PollIn = 1;
        Libc.PollFd* polls = stackalloc Libc.PollFd[numbers.Length];
        for (int i = 0; i < numbers.Length; i++)
            polls[i] = new Libc.PollFd { Fd = numbers[i], Events = PollIn };
        _ = Libc.poll(polls, (nuint)numbers.Length, (int)timeout.TotalMilliseconds);
    }

    /// <summary>Whether the other end is gone, as poll(2) tells (POLLERR, POLLHUP).</summary>
    public unsafe bool HasFailed
    {
        get
        {
            const short Error = 8, HangUp = 16;
            var poll = new Libc.PollFd { Fd = Number };
            return Libc.poll(&poll, 1, 0) > 0 && (poll.Returned & (Error | HangUp)) != 0;
        }
    }

    /// <summary>The path that the kernel shows for this descriptor (/proc/self/fd), with " (deleted)" behind a deleted file's.</summary>
    public string DescribePath() => new FileInfo($"/proc/self/fd/{Number}").LinkTarget ?? $"fd {Number}";

    /// <inheritdoc/>
    // The result is left alone: Linux frees the number even where close reports an error.
    protected override bool ReleaseHandle()
    {
        _ = Libc.close((int)handle);
        return true;
    }

    private static Errno Check(int result) => result < 0 ? LastError.Get() : Errno.None;

    private static Errno Count(nint result, out int count)
    {
        Errno error = result < 0 ? LastError.Get() : Errno.None;
        count = result < 0 ? 0 : (int)result;
        return error;
    }
}
