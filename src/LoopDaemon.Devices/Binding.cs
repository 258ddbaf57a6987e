using System.Numerics;
using System.Text;
using LoopDaemon.Linux;
using LoopDaemon.Storage;
using LoopDaemon.Transfers;

namespace LoopDaemon.Devices;

/// <summary>What a device is bound to, from bind to clear. Any thread may read; changes are the device's own.</summary>
public sealed class Binding : IDisposable
{
    /// <summary>The logical sector size unless another is asked for, and the least, in bytes.</summary>
    public const int DefaultSectorBytes = 512;

    /// <summary>The longest reference in bytes of UTF-8: <c>lo_file_name</c> of linux/loop.h without its NUL.</summary>
    public const int MaxReferenceBytes = 63;

    private const int MaxSectorBytes = 4096;

    private readonly FileStore _file;
    private readonly WindowStore _window;
    private readonly TransferStore? _transfers;
    private readonly string? _keyedTransfer;
    private readonly Lock _passing = new();
    private volatile bool _isPassedThrough;
    private volatile BindingStatus _status;
    private volatile DevicePartition[] _partitions = [];

    private Binding(
        FileStore file, WindowStore window, BlockStore top, IReadOnlyList<ITransfer> transfers, BindRequest request, BindingStatus status)
    {
        _file = file;
        _window = window;
        _transfers = top as TransferStore;
        _keyedTransfer = transfers.FirstOrDefault(transfer => !transfer.IsIdentity)?.Name;
        _status = status;
        Store = top;
        IsReadOnly = request.IsReadOnly || top.IsReadOnly;
        AllowsDiscards = request.AllowDiscards;
        SectorsFromOffset = request.SectorsFromOffset;
        Passthrough = request.Passthrough;
        TransferNames = [.. transfers.Select(transfer => transfer.Name)];
        OwnerUid = request.OwnerUid;
        OwnerGid = request.OwnerGid;
        Permissions = request.Permissions;
    }

    /// <summary>The top of the stack of stores.</summary>
    public BlockStore Store { get; }

    /// <summary>Whether writes are refused.</summary>
    public bool IsReadOnly { get; }

    /// <summary>Whether discards go through transfers with a key.</summary>
    public bool AllowsDiscards { get; }

    /// <summary>Whether transfers count sectors from the offset.</summary>
    public bool SectorsFromOffset { get; }

    /// <summary>The pipeline's transfers by their registered names; the first is nearest the user's data.</summary>
    public IReadOnlyList<string> TransferNames { get; }

    /// <summary>Whether the stored data differs from the device's.</summary>
    public bool HasTransfers => _transfers is not null;

    /// <summary>Whether the kernel may read and write the backing file itself.</summary>
    public Passthrough Passthrough { get; }

    /// <summary>Whether it does so now.</summary>
    public bool IsPassedThrough => _isPassedThrough;

    /// <summary>The user the device belongs to.</summary>
    public uint OwnerUid { get; }

    /// <summary>The group of the device's file.</summary>
    public uint OwnerGid { get; }

    /// <summary>The permission bits of the device's file.</summary>
    public uint Permissions { get; }

    /// <summary>What can change, as of now.</summary>
    public BindingStatus Status => _status;

    /// <summary>Whether the backing file is read and written past the page cache.</summary>
    public bool UsesDirectIo => _file.UsesDirectIo;

    /// <summary>The partitions by number, ascending; empty unless they are asked for.</summary>
    public IReadOnlyList<DevicePartition> Partitions => _partitions;

    /// <summary>When it was bound, in nanoseconds since 1970.</summary>
    public long BoundAtNs { get; private init; } = (DateTime.UtcNow - DateTime.UnixEpoch).Ticks * 100;

    /// <summary>The backing file's length as the device knows it, in bytes.</summary>
    public long BackingBytes => _file.Length;

    /// <summary>A second descriptor of the open backing file.</summary>
    /// <exception cref="LinuxException">No descriptor is left.</exception>
    public FileDescriptor DuplicateBackingFile() => _file.Duplicate();

    /// <inheritdoc/>
    public void Dispose() => Store.Dispose();

    /// <summary>The partition with a number, or null.</summary>
    public DevicePartition? FindPartition(int number)
    {
        foreach (DevicePartition partition in _partitions)
        {
            if (partition.Number == number)
                return partition;
        }
        return null;
    }

    /// <summary>The size in bytes of the whole (partition 0) or of a partition; 0 where there is no such partition.</summary>
    public long LengthOf(int partition) => StoreOf(partition)?.Length ?? 0;

    /// <summary>The store of the whole (partition 0) or of a partition; null where there is no such partition.</summary>
    internal BlockStore? StoreOf(int partition) => partition == 0 ? Store : FindPartition(partition)?.Window;

    /// <summary>What keeps the kernel from reading and writing the backing file in place of the device: they must be the same,
    /// byte by byte, and fail alike.</summary>
    /// <returns>A sentence without its subject, the device; null where nothing does.</returns>
    public string? PassthroughObstacle()
    {
        BindingStatus status = _status;
        if (Passthrough == Passthrough.Off)
            return "is bound with --passthrough=off";
        if (_keyedTransfer is not null)
            return $"goes through transfer {_keyedTransfer}";
        if (_file.Kind != FileKind.RegularFile)
            return $"is on a block device ({status.BackingPath})";
        if (Store.Length == 0)
            return "is empty";
        if (Store.Length != _file.Length)
            return $"shows {Store.Length} of the {_file.Length} bytes of {status.BackingPath}";
        if (UsesDirectIo)
            return "uses direct I/O on its backing file whoever opens it";
        // Whoever opens it with O_DIRECT finds the backing file's rules. Those of the device are that of its sector size.
        if (status.DirectAlignmentBytes == 0)
            return $"has a backing file without direct I/O ({status.BackingPath})";
        return status.DirectAlignmentBytes <= status.SectorBytes ? null
            : $"has sectors of {status.SectorBytes} bytes, and direct I/O on {status.BackingPath} needs blocks of {status.DirectAlignmentBytes}";
    }

    /// <summary>Lets the kernel read and write the backing file itself from now on. Until <see cref="EndPassthrough"/> the
    /// backing file stays the same one.</summary>
    /// <param name="register">Registers the backing file, opened anew for this, with the kernel.</param>
    /// <returns>None, or the error of opening or registering it; nothing has begun then.</returns>
    public Errno TryPassThrough(Func<FileDescriptor, Errno> register)
    {
        ArgumentNullException.ThrowIfNull(register);
        lock (_passing)
        {
            OpenFlags access = IsReadOnly ? OpenFlags.ReadOnly : OpenFlags.ReadWrite;
            Errno error = _file.TryReopen(access, out FileDescriptor? backing);
            if (error != Errno.None)
                return error;
            using (backing)
                error = register(backing!);
            _isPassedThrough = error == Errno.None;
            return error;
        }
    }

    /// <summary>Nobody has the device open any more.</summary>
    public void EndPassthrough() => _isPassedThrough = false;

    /// <summary>The kernel reads and writes the backing file itself, as another process has told it to.</summary>
    public void ResumePassthrough() => _isPassedThrough = true;

    /// <summary>How many bytes the backing file has behind the end of a device that is all of it otherwise: the kernel,
    /// where it writes there itself, heeds no end.</summary>
    public long BytesPastEnd() =>
        _keyedTransfer is null && _file.Kind == FileKind.RegularFile && Store.Length == _file.Length
            && _file.GetStatus(out FileStatus backing) == Errno.None
            ? Math.Max(0, backing.SizeBytes - Store.Length) : 0;

    /// <summary>When the backing file was last changed, in nanoseconds since 1970; null where that cannot be told, as for a
    /// block device.</summary>
    public long? BackingModifiedNs() =>
        _file.Kind == FileKind.RegularFile && _file.GetStatus(out FileStatus backing) == Errno.None ? backing.ModifiedNs : null;

    /// <summary>Checks a request and stacks the stores it asks for.</summary>
    /// <param name="device">The device's name, for warnings.</param>
    /// <param name="request">The request.</param>
    /// <param name="registry">Where its transfers are found.</param>
    /// <param name="warnings">Takes what the binder should know although the bind succeeds, a sentence each.</param>
    /// <exception cref="LinuxException">The backing file, offset, size limit or another number will not do.</exception>
    /// <exception cref="TransferException">A transfer or its key will not do.</exception>
    internal static Binding Create(string device, BindRequest request, TransferRegistry registry, List<string> warnings)
    {
        CheckSectorSize(request.SectorBytes);
        CheckReference(request.Reference);
        Binding binding = Stack(request, request.BackingFile.DescribePath(), null, registry);
        try
        {
            if (binding._file.Kind == FileKind.RegularFile)
                WarnOfSize(warnings, request.SizeLimitBytes > 0 ? request.SizeLimitBytes : Math.Max(0, binding._file.Length - request.OffsetBytes));
            if (request.DirectIo && binding.SetDirectIo(true) is { } refused)
                warnings.Add($"{refused.Message}; it is used through the page cache");
            request.Check?.Invoke(binding);
            binding.Show(binding.Scan(device, warnings));
            return binding;
        }
        catch
        {
            binding.Dispose();
            throw;
        }
    }

    /// <summary>Stacks the stores anew that another process had, and leaves everything else as it was: nothing is looked at on
    /// the device, and the size stays although the backing file may have another one.</summary>
    /// <exception cref="LinuxException">The backing file will not do.</exception>
    /// <exception cref="TransferException">A transfer or its key will not do.</exception>
    internal static Binding Restore(BindRequest request, BoundState bound, TransferRegistry registry)
    {
        Binding binding = Stack(request, bound.BackingPath, bound, registry);
        binding.Show([.. bound.Partitions.Select(partition => new DevicePartition(binding.Store, partition))]);
        if (request.DirectIo)
            _ = binding.SetDirectIo(true);
        return binding;
    }

    private static Binding Stack(BindRequest request, string path, BoundState? bound, TransferRegistry registry)
    {
        var file = FileStore.Open(request.BackingFile);
        var transfers = new List<ITransfer>();
        try
        {
            if (bound is not null)
                file.KeepLength(bound.BackingBytes);
            FileStatus backing = StatusOf(request.BackingFile, path);
            foreach (TransferSpec spec in request.Transfers)
                transfers.Add(registry.Create(spec));
            var status = new BindingStatus(
                path, backing, DirectAlignmentOf(request.BackingFile), request.OffsetBytes, request.SizeLimitBytes, request.SectorBytes,
                request.Reference, request.Partscan);
            CheckRange(status, transfers.Find(transfer => !transfer.IsIdentity)?.Name);
            var window = new WindowStore(file, request.OffsetBytes, request.SizeLimitBytes);
            BlockStore top = TransferStore.Over(
                window, transfers, FirstSector(request.OffsetBytes, request.SectorsFromOffset), request.AllowDiscards);
            return bound is null
                ? new Binding(file, window, top, transfers, request, status)
                : new Binding(file, window, top, transfers, request, status) { BoundAtNs = bound.BoundAtNs };
        }
        catch
        {
            transfers.ForEach(transfer => transfer.Dispose());
            file.Dispose();
            throw;
        }
    }

    /// <summary>Reads the partition table, if that is asked for.</summary>
    /// <param name="device">The device's name, for warnings.</param>
    /// <param name="warnings">Takes what the user should know, a sentence each.</param>
    internal DevicePartition[] Scan(string device, List<string> warnings)
    {
        BindingStatus status = _status;
        if (!status.Partscan)
            return [];
        PartitionScan scan = PartitionTable.Read(Store, status.SectorBytes, device);
        warnings.AddRange(scan.Warnings);
        return [.. scan.Partitions.Select(partition => new DevicePartition(Store, partition))];
    }

    /// <summary>Shows other partitions; none of the present ones may be open.</summary>
    internal void Show(DevicePartition[] partitions) => _partitions = partitions;

    /// <summary>Takes over the length that the backing file has now.</summary>
    /// <exception cref="LinuxException">It cannot be had.</exception>
    internal void RefreshLength()
    {
        Errno error = _file.RefreshLength();
        if (error != Errno.None)
            throw new LinuxException(error, $"cannot tell the size of {_status.BackingPath}");
        RecomputeWindows();
    }

    /// <summary>Goes on with another backing file of the same size.</summary>
    /// <param name="other">The other file; it stays the caller's.</param>
    /// <exception cref="LinuxException">EINVAL: it will not do, or the device is not read-only.</exception>
    internal void ChangeFile(FileDescriptor other)
    {
        if (!IsReadOnly)
            throw LinuxException.WithMessage(Errno.EINVAL, "only a read-only device can change its backing file");
        string path = other.DescribePath();
        BindingStatus status = _status;
        long size = WindowStore.WindowLength(FileStore.LengthOf(other), status.OffsetBytes, status.SizeLimitBytes);
        if (size != _window.Length)
            throw LinuxException.WithMessage(Errno.EINVAL, $"{path} makes a device of {size} bytes, and this one has {_window.Length}");
        FileStatus backing = StatusOf(other, path);
        lock (_passing)
        {
            if (_isPassedThrough)
            {
                throw LinuxException.WithMessage(Errno.EBUSY,
                    $"the kernel reads {status.BackingPath} itself as long as the device is open: close it first, or bind it with --passthrough=off");
            }
            _file.ChangeFile(other);
        }
        RecomputeWindows();
        _status = status with { BackingPath = path, Backing = backing, DirectAlignmentBytes = DirectAlignmentOf(other) };
    }

    /// <summary>Turns direct I/O on or off.</summary>
    /// <returns>Why it cannot be (EINVAL), or null.</returns>
    internal LinuxException? SetDirectIo(bool enable)
    {
        BindingStatus status = _status;
        Errno error = _file.SetDirectIo(enable);
        if (error != Errno.None)
            return LinuxException.WithMessage(Errno.EINVAL, $"{status.BackingPath} cannot be used with direct I/O: {error.Describe()}");
        if (!enable || status.OffsetBytes % _file.DirectAlignmentBytes == 0)
            return null;
        // As the kernel has it: not one aligned request on the device would be aligned in the file.
        _file.SetDirectIo(false);
        return LinuxException.WithMessage(Errno.EINVAL,
            $"{status.BackingPath} cannot be used with direct I/O: offset {status.OffsetBytes} is not a multiple of {_file.DirectAlignmentBytes}");
    }

    /// <summary>Checks a change before anything of it is done.</summary>
    /// <exception cref="LinuxException">A value will not do.</exception>
    internal void Check(BindingChange change)
    {
        if (change.Reference is not null)
            CheckReference(change.Reference);
        if (change.Partscan == false && _status.Partscan)
            throw LinuxException.WithMessage(Errno.EINVAL, "partition scanning cannot be turned off while a device is bound");
        CheckRange(Apply(change), _keyedTransfer);
    }

    /// <summary>Whether a change moves the window.</summary>
    internal bool Moves(BindingChange change)
    {
        BindingStatus then = Apply(change);
        return (then.OffsetBytes, then.SizeLimitBytes) != (_status.OffsetBytes, _status.SizeLimitBytes);
    }

    /// <summary>Carries out a change that was checked; one that moves the window while nobody has the device open.</summary>
    internal void Change(BindingChange change)
    {
        bool moves = Moves(change);
        _status = Apply(change);
        if (!moves)
            return;
        _window.Move(_status.OffsetBytes, _status.SizeLimitBytes);
        if (_transfers is not null)
            _transfers.FirstSector = FirstSector(_status.OffsetBytes, SectorsFromOffset);
    }

    /// <summary>Sets the logical sector size.</summary>
    internal void SetSectorSize(int bytes) => _status = _status with { SectorBytes = bytes };

    /// <exception cref="LinuxException">EINVAL: it is none.</exception>
    internal static void CheckSectorSize(int bytes)
    {
        if (bytes is < DefaultSectorBytes or > MaxSectorBytes || !BitOperations.IsPow2(bytes))
            throw LinuxException.WithMessage(Errno.EINVAL, $"a sector size is a power of two from {DefaultSectorBytes} to {MaxSectorBytes}, not {bytes}");
    }

    private BindingStatus Apply(BindingChange change) => _status with
    {
        Partscan = change.Partscan ?? _status.Partscan,
        OffsetBytes = change.OffsetBytes ?? _status.OffsetBytes,
        SizeLimitBytes = change.SizeLimitBytes ?? _status.SizeLimitBytes,
        Reference = change.Reference ?? _status.Reference,
    };

    private void RecomputeWindows()
    {
        _window.Recompute();
        foreach (DevicePartition partition in _partitions)
            partition.Window.Recompute();
    }

    private static ulong FirstSector(long offset, bool sectorsFromOffset) =>
        sectorsFromOffset ? 0 : (ulong)(offset / DefaultSectorBytes);

    private static FileStatus StatusOf(FileDescriptor file, string path) =>
        file.GetStatus(out FileStatus status) is var error and not Errno.None
            ? throw new LinuxException(error, $"cannot look at {path}") : status;

    private static int DirectAlignmentOf(FileDescriptor file)
    {
        if (file.TryReopen(FileDescriptor.Direct, out FileDescriptor? direct) != Errno.None)
            return 0;
        using (direct)
            return direct!.DirectAlignment().Offset;
    }

    private static void CheckReference(string reference)
    {
        if (Encoding.UTF8.GetByteCount(reference) > MaxReferenceBytes || reference.Contains('\0'))
            throw LinuxException.WithMessage(Errno.EINVAL, $"a reference has at most {MaxReferenceBytes} bytes, and no NUL");
    }

    private static void CheckRange(BindingStatus status, string? keyedTransfer)
    {
        if (status.OffsetBytes < 0 || status.SizeLimitBytes < 0)
            throw LinuxException.WithMessage(Errno.EOVERFLOW, $"{status.BackingPath}: offset and size limit must not be negative");
        // Kernels disagreed with each other on where a sector begins then (linux 2.6 loop.c), so no image can rely on it.
        if (keyedTransfer is not null && status.OffsetBytes % DefaultSectorBytes != 0)
            throw LinuxException.WithMessage(Errno.EINVAL,
                $"{status.BackingPath}: offset {status.OffsetBytes} is not a multiple of {DefaultSectorBytes}, which transfer {keyedTransfer} needs");
    }

    /// <summary>The warnings of losetup 2.38. (Of an offset behind the end it has none: there it takes the file for very
    /// large.)</summary>
    private static void WarnOfSize(List<string> warnings, long bytes)
    {
        if (bytes < DefaultSectorBytes)
            warnings.Add($"Warning: file is smaller than {DefaultSectorBytes} bytes; the loop device may be useless or invisible for system tools.");
        else if (bytes % DefaultSectorBytes != 0)
            warnings.Add($"Warning: file does not fit into a {DefaultSectorBytes}-byte sector; the end of the file will be ignored.");
    }
}
