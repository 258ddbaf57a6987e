using LoopDaemon.Linux;

namespace LoopDaemon.Storage;

/// <summary>A backing file: a regular file or a block device.</summary>
/// <remarks>The length is that at opening. A regular file that somebody truncates meanwhile answers reads of what is
/// gone with zeros and EIO, and a write there makes the file longer again, with a hole before it; both are what the
/// kernel's loop driver does. With O_DIRECT on the descriptor, the file system's rules of alignment hold for every
/// call and are not checked here.</remarks>
public sealed class FileStore : BlockStore
{
    private readonly FileDescriptor _file;
    private readonly FileKind _kind;
    private long _length;

    private FileStore(FileDescriptor file, FileKind kind, bool isReadOnly, long length)
    {
        _file = file;
        _kind = kind;
        _length = length;
        IsReadOnly = isReadOnly;
    }

    /// <inheritdoc/>
    public override long Length => Volatile.Read(ref _length);

    /// <inheritdoc/>
    public override bool IsReadOnly { get; }

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

        var store = new FileStore(file, status.Kind, isReadOnly: access == OpenFlags.ReadOnly, status.SizeBytes);
        Require(store.RefreshLength(), file);
        return store;
    }

    /// <summary>Takes over the file's length of now, after somebody has made it longer or shorter.</summary>
    public Errno RefreshLength()
    {
        long length;
        Errno error;
        if (_kind == FileKind.BlockDevice)
        {
            error = _file.BlockDeviceSize(out length);
        }
        else
        {
            error = _file.GetStatus(out FileStatus status);
            length = status.SizeBytes;
        }
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
        error = _file.ReadAt(offset, destination, out int count);
        if (error == Errno.None && count == destination.Length)
            return Errno.None;
        destination[count..].Clear();
        return error == Errno.None ? Errno.EIO : error;
    }

    /// <inheritdoc/>
    public override Errno Write(long offset, ReadOnlySpan<byte> source, Span<byte> scratch)
    {
        Errno error = CheckWrite(offset, source.Length);
        return error == Errno.None ? _file.WriteAt(offset, source) : error;
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
        if (disposing)
            _file.Dispose();
    }

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
