namespace LoopDaemon.Linux;

/// <summary>Page-aligned memory outside the garbage collector's heap, every page touched (so that the kernel never has
/// to fault one in while it copies a request) and locked where that is allowed.</summary>
public sealed unsafe class PageMemory : IDisposable
{
    private byte* _start;

    private PageMemory(byte* start, int length, Errno lockResult)
    {
        _start = start;
        Length = length;
        LockResult = lockResult;
    }

    /// <summary>Size of a page in bytes.</summary>
    public static int PageSize => Environment.SystemPageSize;

    /// <summary>Length in bytes, a multiple of the page size.</summary>
    public int Length { get; }

    /// <summary>None, or why mlock(2) refused (EPERM or ENOMEM: RLIMIT_MEMLOCK is too low); the memory works all the same.</summary>
    public Errno LockResult { get; }

    /// <summary>Private memory.</summary>
    /// <exception cref="LinuxException">There is none left.</exception>
    public static PageMemory Allocate(int lengthBytes)
    {
        const int Private = 2, Anonymous = 0x20;
        return Map(lengthBytes, Private | Anonymous, -1, 0);
    }

    /// <summary>Maps a part of a memory file, shared with whoever else maps it.</summary>
    /// <param name="memory">The file, of <see cref="FileDescriptor.CreateMemory"/>.</param>
    /// <param name="offset">Where the part begins, a multiple of the page size.</param>
    /// <param name="lengthBytes">Its length.</param>
    /// <exception cref="LinuxException">It cannot be mapped.</exception>
    public static PageMemory Share(FileDescriptor memory, long offset, int lengthBytes)
    {
        const int Shared = 1;
        return Map(lengthBytes, Shared, memory.Number, offset);
    }

    /// <summary>A part of the memory as a span.</summary>
    public Span<byte> Span(int offset, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, Length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)length, (uint)(Length - offset));
        return new Span<byte>(_start + offset, length);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_start is null)
            return;
        _ = Libc.munmap(_start, (nuint)Length);
        _start = null;
    }

    private static PageMemory Map(int lengthBytes, int flags, int fd, long offset)
    {
        const int ReadWrite = 3;
        int length = (lengthBytes + PageSize - 1) / PageSize * PageSize;
        void* start = Libc.mmap(null, (nuint)length, ReadWrite, flags, fd, offset);
        if ((nint)start == -1)
            throw new LinuxException(LastError.Get(), $"cannot map {length} bytes of memory");

        Errno locked = Libc.mlock(start, (nuint)length) < 0 ? LastError.Get() : Errno.None;
        // A write that keeps the contents makes each page present; MAP_POPULATE would not under mlockall(MCL_ONFAULT).
        for (int page = 0; page < length; page += PageSize)
        {
            ref byte first = ref ((byte*)start)[page];
            Volatile.Write(ref first, Volatile.Read(ref first));
        }
        return new PageMemory((byte*)start, length, locked);
    }
}
