using LoopDaemon.Linux;

namespace LoopDaemon.Storage;

/// <summary>A backing file: a regular file or a block device.</summary>
/// <remarks>The length is that at opening. A regular file that somebody truncates meanwhile answers reads of what is
/// gone with zeros and EIO, and a write there makes the file longer again, with a hole before it; both are what the
/// kernel's loop driver does. With direct I/O, a request whose memory, offset and length are aligned as the file asks goes
/// past the page cache, straight from or to the caller's memory; any other goes through it, and the kernel keeps the two
/// coherent.</remarks>
public sealed class FileStore : BlockStore
{
    private readonly FileDescriptor _file;
    private volatile FileKind _kind;
    private FileDescriptor? _direct;
    private volatile bool _usesDirect;
    private int _memoryAlignment;
    private int _offsetAlignment;
    private long _length;

    private FileStore(FileDescriptor file, FileKind kind, bool isReadOnly)
    {
        _file = file;
        _kind = kind;
        IsReadOnly = isReadOnly;
    }

    /// <inheritdoc/>
    public override long Length => Volatile.Read(ref _length);

    /// <inheritdoc/>
    public override bool IsReadOnly { get; }

    /// <summary>A regular file or a block device.</summary>
    public FileKind Kind => _kind;

    /// <summary>Whether aligned requests go past the page cache.</summary>
    public bool UsesDirectIo => _usesDirect;

    /// <summary>What offsets and lengths of direct I/O are multiples of, in bytes; 0 before it was ever turned on.</summary>
    public int DirectAlignmentBytes => _offsetAlignment;

    /// <summary>The modes of fallocate(2) that the file system has answered with EOPNOTSUPP; they are not tried again.
    /// A bit that two threads' race loses costs one more try.</summary>
    internal AllocateMode Refused { get; set; }

    /// <summary>Makes a store of an open file; it is read-only where the descriptor cannot write.</summary>
    /// <param name="file">The file, which the store owns from now on, unless an exception is thrown.</param>
    /// <exception cref="LinuxException">EINVAL: neither a regular file nor a block device, or opened to append.
    /// EBADF: not opened for reading.</exception>
    public static FileStore Open(FileDescriptor file)
    {
        ArgumentNullException.ThrowIfNull(file);
        var store = new FileStore(file, Check(file, out bool isReadOnly), isReadOnly);
        Require(store.RefreshLength(), file);
        return store;
    }

    /// <summary>The length in bytes that a store of an open file would have.</summary>
    /// <exception cref="LinuxException">As for <see cref="Open"/>.</exception>
    public static long LengthOf(FileDescriptor file)
    {
        ArgumentNullException.ThrowIfNull(file);
        Require(Measure(file, Check(file, out _), out long length), file);
        return length;
    }

    /// <summary>Goes on with another file, while requests are under way; for a store that nobody writes to. Direct I/O stays
    /// on if the other file can do it.</summary>
    /// <param name="other">The other file; it stays the caller's.</param>
    /// <exception cref="LinuxException">As for <see cref="Open"/>; nothing is changed then.</exception>
    public void ChangeFile(FileDescriptor other)
    {
        ArgumentNullException.ThrowIfNull(other);
        FileKind kind = Check(other, out _);
        bool direct = UsesDirectIo;
        _usesDirect = false;
        Require(_file.ReplaceBy(other), other);
        _kind = kind;
        Refused = 0;
        Require(RefreshLength(), other);
        if (direct)
            _ = SetDirectIo(true);
    }

    /// <summary>Turns direct I/O on or off, while requests are under way.</summary>
    /// <returns>EINVAL where the file system cannot do it, or the error of opening the file a second time.</returns>
    public Errno SetDirectIo(bool enable)
    {
        if (!enable)
        {
            _usesDirect = false;
            return Errno.None;
        }
        OpenFlags access = IsReadOnly ? OpenFlags.ReadOnly : OpenFlags.ReadWrite;
        Errno error = _file.TryReopen(access | FileDescriptor.Direct, out FileDescriptor? direct);
        if (error != Errno.None)
            return error;
        (_memoryAlignment, _offsetAlignment) = AlignmentOf(direct!);
        if (_direct is null)
        {
            _direct = direct;
        }
        else
        {
            // Requests may be under way on the old number, which therefore stays.
            using (direct)
                error = _direct.ReplaceBy(direct!);
        }
        if (error != Errno.None)
            return error;
        // What was written through the page cache is on its way before anything goes past it.
        _ = _file.Synchronize(dataOnly: true);
        _usesDirect = true;
        return Errno.None;
    }

    /// <summary>What the file is like now, whatever it was when it was opened.</summary>
    public Errno GetStatus(out FileStatus status) => _file.GetStatus(out status);

    /// <summary>Opens the file a second time.</summary>
    /// <param name="flags">How.</param>
    /// <param name="opened">The descriptor, which is the caller's, or null on error.</param>
    public Errno TryReopen(OpenFlags flags, out FileDescriptor? opened) => _file.TryReopen(flags, out opened);

    /// <summary>A second descriptor of the open file.</summary>
    /// <exception cref="LinuxException">No descriptor is left.</exception>
    public FileDescriptor Duplicate() => _file.Duplicate();

    /// <summary>Goes on with a length that the file had, whatever it has now.</summary>
    /// <param name="bytes">The length.</param>
    public void KeepLength(long bytes) => Volatile.Write(ref _length, bytes);

    /// <summary>Takes over the file's length of now, after somebody has made it longer or shorter.</summary>
    public Errno RefreshLength()
    {
        Errno error = Measure(_file, _kind, out long length);
        if (error == Errno.None)
            Volatile.Write(ref _length, length);
        return error;
    }

    /// <inheritdoc/>
    public override Errno Read(long offset, Span<byte> destination)
    {
        Errno error = CheckRead(offset, destination);
        if (error != Errno.None)
            return error;
        int count = 0;
        bool direct = GoesDirect(offset, destination);
        if (direct)
            error = _direct!.ReadAt(offset, destination, out count);
        // EINVAL: the end of the file, or a rule that the file system does not tell.
        if (!direct || error == Errno.EINVAL)
            error = _file.ReadAt(offset, destination, out count);
        if (error == Errno.None && count == destination.Length)
            return Errno.None;
        destination[count..].Clear();
        return error == Errno.None ? Errno.EIO : error;
    }

    /// <inheritdoc/>
    public override Errno Write(long offset, ReadOnlySpan<byte> source, Span<byte> scratch, bool durable = false)
    {
        Errno error = CheckWrite(offset, source.Length);
        if (error != Errno.None)
            return error;
        if (GoesDirect(offset, source))
        {
            error = _direct!.WriteAt(offset, source, durable);
            if (error != Errno.EINVAL)
                return error;
        }
        return _file.WriteAt(offset, source, durable);
    }

    /// <inheritdoc/>
    public override Errno Flush() => _file.Synchronize(dataOnly: true);

    /// <inheritdoc/>
    public override Errno Discard(long offset, long length)
    {
        Errno error = CheckWrite(offset, length);
        return error == Errno.None && length > 0 ? Allocate(AllocateMode.PunchHole, offset, length) : error;
    }

    /// <inheritdoc/>
    public override Errno WriteZeroes(long offset, long length, Span<byte> scratch)
    {
        Errno error = CheckWrite(offset, length);
        if (error != Errno.None || length == 0)
            return error;
        // The first keeps the space reserved, so that later writes cannot run out of it.
        error = Allocate(AllocateMode.ZeroRange, offset, length);
        if (error == Errno.EOPNOTSUPP)
            error = Allocate(AllocateMode.PunchHole, offset, length);
        return error == Errno.EOPNOTSUPP ? WriteLiteralZeroes(offset, length, scratch) : error;
    }

    /// <inheritdoc/>
    public override Errno Seek(SeekTarget target, long offset, out long found)
    {
        found = 0;
        long length = Length;
        if (offset < 0 || offset >= length)
            return Errno.ENXIO;
        Errno error = _file.Seek(target, offset, out long position);
        if (error == Errno.EINVAL)
        {
            // A file system that cannot tell: everything is data.
            position = target == SeekTarget.Data ? offset : length;
            error = Errno.None;
        }
        if (error == Errno.None && target == SeekTarget.Data && position >= length)
            error = Errno.ENXIO;
        if (error == Errno.None)
            found = Math.Min(position, length);
        return error;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (!disposing)
            return;
        _direct?.Dispose();
        _file.Dispose();
    }

    private bool GoesDirect(long offset, ReadOnlySpan<byte> memory) =>
        _usesDirect && ((offset | (long)memory.Length) & (_offsetAlignment - 1)) == 0
        && FileDescriptor.IsAligned(memory, _memoryAlignment);

    /// <summary>fallocate(2) with the errors of the kernel's <c>lo_fallocate</c>: EOPNOTSUPP where the file cannot do
    /// this (EINVAL too: a block device wants whole blocks), EIO for anything else but ENOSPC.</summary>
    private Errno Allocate(AllocateMode mode, long offset, long length)
    {
        if ((Refused & mode) != 0)
            return Errno.EOPNOTSUPP;
        Errno error = _file.Allocate(mode | AllocateMode.KeepSize, offset, length);
        if (error == Errno.EOPNOTSUPP)
            Refused |= mode;
        return error switch
        {
            Errno.None or Errno.ENOSPC or Errno.EOPNOTSUPP => error,
            Errno.EINVAL => Errno.EOPNOTSUPP,
            _ => Errno.EIO,
        };
    }

    private Errno WriteLiteralZeroes(long offset, long length, Span<byte> scratch)
    {
        if (scratch.Length < MinScratchBytes)
            return Errno.EINVAL;
        scratch = scratch[..(int)Math.Min(scratch.Length, length)];
        scratch.Clear();
        for (long end = offset + length; offset < end; offset += scratch.Length)
        {
            Errno error = _file.WriteAt(offset, scratch[..(int)Math.Min(scratch.Length, end - offset)]);
            if (error != Errno.None)
                return error;
        }
        return Errno.None;
    }

    private (int Memory, int Offset) AlignmentOf(FileDescriptor direct) =>
        _kind == FileKind.BlockDevice && direct.BlockDeviceSectorSize(out int sector) == Errno.None
            ? (sector, sector) : direct.DirectAlignment();

    /// <summary>Sees whether a file will do.</summary>
    private static FileKind Check(FileDescriptor file, out bool isReadOnly)
    {
        Require(file.GetFlags(out OpenFlags flags), file);
        Require(file.GetStatus(out FileStatus status), file);

        if (status.Kind is not (FileKind.RegularFile or FileKind.BlockDevice))
            throw Refuse(Errno.EINVAL, file, $"is a {Words(status.Kind)}, not a regular file or a block device");
        if (flags.HasFlag(OpenFlags.PathOnly))
            throw Refuse(Errno.EBADF, file, "was not opened, only named (O_PATH)");
        OpenFlags access = flags & OpenFlags.AccessMode;
        if (access is not (OpenFlags.ReadOnly or OpenFlags.ReadWrite))
            throw Refuse(Errno.EBADF, file, "was not opened for reading");
        // pwrite(2), BUGS: on Linux it appends to such a file, whatever the offset.
        if (flags.HasFlag(OpenFlags.Append))
            throw Refuse(Errno.EINVAL, file, "was opened to append (O_APPEND), so that no block could be written in its place");

        isReadOnly = access == OpenFlags.ReadOnly;
        return status.Kind;
    }

    private static Errno Measure(FileDescriptor file, FileKind kind, out long length)
    {
        if (kind == FileKind.BlockDevice)
            return file.BlockDeviceSize(out length);
        Errno error = file.GetStatus(out FileStatus status);
        length = status.SizeBytes;
        return error;
    }

    private static void Require(Errno error, FileDescriptor file)
    {
        if (error != Errno.None)
            throw new LinuxException(error, $"cannot use {file.DescribePath()} as a backing file");
    }

    private static LinuxException Refuse(Errno errno, FileDescriptor file, string why) =>
        LinuxException.WithMessage(errno, $"{file.DescribePath()} {why}");

    private static string Words(FileKind kind) => kind switch
    {
        FileKind.Fifo => "pipe",
        FileKind.CharacterDevice => "character device",
        FileKind.SymbolicLink => "symbolic link",
        FileKind.Directory => "directory",
        FileKind.Socket => "socket",
        _ => "special file",
    };
}
