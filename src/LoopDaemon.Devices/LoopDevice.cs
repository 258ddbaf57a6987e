using LoopDaemon.Linux;
using LoopDaemon.Storage;

namespace LoopDaemon.Devices;

/// <summary>One numbered device: unbound, or bound to a backing file; opened any number of times, as a whole or partition by
/// partition (partition 0 is the whole). I/O takes no lock: a binding is only replaced while nothing has the device open.</summary>
public sealed class LoopDevice
{
    /// <summary>Guards the fields below; held for moments only, as the data path's opens and closes take it.</summary>
    private readonly Lock _gate = new();

    /// <summary>Lets one control operation at a time at the device, however long its disk takes.</summary>
    private readonly Lock _control = new();
    private readonly DeviceTable _table;
    private volatile Binding? _binding;
    private bool _reserved;
    private bool _removed;
    private bool _autoclear;
    private bool _held;
    private bool _closedWhileHeld;
    private bool _tableMayHaveChanged;
    private int _openers;
    private long _reads, _writes, _bytesRead, _bytesWritten, _errors;

    internal LoopDevice(DeviceTable table, int number)
    {
        _table = table;
        Number = number;
    }

    /// <summary>The device's number, from 0.</summary>
    public int Number { get; }

    /// <summary>The name, such as <c>loop0</c>.</summary>
    public string Name => $"loop{Number}";

    /// <summary>What the device is bound to, or null.</summary>
    public Binding? Binding => _binding;

    /// <summary>Whether the device is cleared at its last close.</summary>
    public bool IsAutoclear => _autoclear;

    /// <summary>How many times it is open, its partitions included.</summary>
    public int Openers => _openers;

    /// <summary>The counts since the device was bound.</summary>
    public DeviceStatistics Statistics => new(
        Interlocked.Read(ref _reads), Interlocked.Read(ref _writes), Interlocked.Read(ref _bytesRead),
        Interlocked.Read(ref _bytesWritten), Interlocked.Read(ref _errors));

    /// <summary>Opens the device or a partition.</summary>
    /// <param name="partition">Which partition; 0 is the whole device.</param>
    /// <param name="forWriting">Whether it is opened to write.</param>
    /// <returns>ENXIO when unbound or there is no such partition, EROFS for writing to a read-only device.</returns>
    public Errno Open(int partition, bool forWriting)
    {
        lock (_gate)
        {
            if (_binding is not { } binding)
                return Errno.ENXIO;
            DevicePartition? part = binding.FindPartition(partition);
            if (partition != 0 && part is null)
                return Errno.ENXIO;
            if (forWriting && binding.IsReadOnly)
                return Errno.EROFS;
            _openers++;
            part?.Count(1);
            _tableMayHaveChanged |= forWriting && partition == 0;
            return Errno.None;
        }
    }

    /// <summary>Closes the device or a partition once. The last close clears the device if autoclear is set; otherwise, if
    /// the whole device was open for writing, its partition table is read anew, as udev has the kernel do it.</summary>
    public void Close(int partition)
    {
        Binding? cleared = null;
        lock (_gate)
        {
            if (_openers == 0)
                return;
            _binding?.FindPartition(partition)?.Count(-1);
            if (--_openers > 0)
                return;
            if (_autoclear && _held)
                _closedWhileHeld = true;
            else if (_autoclear)
                cleared = Unbind();
            else if (_tableMayHaveChanged && _binding is { Status.Partscan: true })
                ThreadPool.QueueUserWorkItem(static device => device.RescanAfterClose(), this, preferLocal: false);
            _tableMayHaveChanged = false;
        }
        Finish(cleared, DeviceChange.ClearedAtLastClose);
    }

    /// <summary>The size in bytes of the device or a partition; 0 where it is not there.</summary>
    public long LengthOf(int partition) => _binding?.LengthOf(partition) ?? 0;

    /// <summary>Reads; at the end of the device fewer bytes than asked for, past it none.</summary>
    public Errno Read(int partition, long offset, Span<byte> destination, out int count)
    {
        count = 0;
        if (_binding?.StoreOf(partition) is not { } store)
            return Errno.ENXIO;
        long left = store.Length - offset;
        if (left <= 0 || offset < 0)
            return Errno.None;
        if (destination.Length > left)
            destination = destination[..(int)left];
        Errno error = store.Read(offset, destination);
        if (error != Errno.None)
            return Failed("read", partition, offset, destination.Length, error);
        count = destination.Length;
        Interlocked.Increment(ref _reads);
        Interlocked.Add(ref _bytesRead, count);
        return Errno.None;
    }

    /// <summary>Writes; across the end of the device fewer bytes than given, at or past it ENOSPC.</summary>
    /// <param name="partition">Which partition; 0 is the whole device.</param>
    /// <param name="offset">The first byte.</param>
    /// <param name="source">The bytes; left as they are.</param>
    /// <param name="scratch">Memory for an encoded copy, see <see cref="BlockStore.Write"/>.</param>
    /// <param name="durable">Return when they are on the medium.</param>
    /// <param name="count">How many bytes were written.</param>
    public Errno Write(int partition, long offset, ReadOnlySpan<byte> source, Span<byte> scratch, bool durable, out int count)
    {
        count = 0;
        Binding? binding = _binding;
        if (binding?.StoreOf(partition) is not { } store)
            return Errno.ENXIO;
        if (binding!.IsReadOnly)
            return Errno.EROFS;
        long left = store.Length - offset;
        if (source.Length == 0)
            return Errno.None;
        if (left <= 0 || offset < 0)
            return Errno.ENOSPC;
        if (source.Length > left)
            source = source[..(int)left];
        Errno error = store.Write(offset, source, scratch, durable);
        if (error != Errno.None)
            return Failed("write", partition, offset, source.Length, error);
        count = source.Length;
        Interlocked.Increment(ref _writes);
        Interlocked.Add(ref _bytesWritten, count);
        return Errno.None;
    }

    /// <summary>Brings what was written onto the medium.</summary>
    public Errno Flush()
    {
        if (_binding?.Store is not { } store)
            return Errno.ENXIO;
        Errno error = store.Flush();
        return error == Errno.None ? error : Failed("flush", 0, 0, 0, error);
    }

    /// <summary>Gives space back; the range then reads as zeros. EOPNOTSUPP where that cannot be had.</summary>
    public Errno Discard(int partition, long offset, long length)
    {
        if (Clip(partition, offset, ref length, out BlockStore? store) is var error and not Errno.None)
            return error;
        if (length == 0)
            return Errno.None;
        error = store!.Discard(offset, length);
        return error is Errno.None or Errno.EOPNOTSUPP ? error : Failed("discard", partition, offset, length, error);
    }

    /// <summary>Makes a range read as zeros.</summary>
    public Errno WriteZeroes(int partition, long offset, long length, Span<byte> scratch)
    {
        if (Clip(partition, offset, ref length, out BlockStore? store) is var error and not Errno.None)
            return error;
        if (length == 0)
            return Errno.None;
        error = store!.WriteZeroes(offset, length, scratch);
        return error == Errno.None ? error : Failed("write zeroes", partition, offset, length, error);
    }

    /// <summary>Finds data or a hole; ENXIO past the end.</summary>
    public Errno Seek(int partition, SeekTarget target, long offset, out long found)
    {
        found = 0;
        return _binding?.StoreOf(partition) is { } store ? store.Seek(target, offset, out found) : Errno.ENXIO;
    }

    /// <summary>Unbinds the device, or marks one that is open to go at its last close (LOOP_CLR_FD: lazy autoclear).</summary>
    /// <returns>Whether it is deferred.</returns>
    /// <exception cref="LinuxException">ENXIO: it is not bound.</exception>
    public bool Clear()
    {
        Binding cleared;
        lock (_control)
        {
            bool isOpen, isNews = false;
            lock (_gate)
            {
                cleared = _binding ?? throw NotBound();
                isOpen = _openers > 0;
                if (isOpen)
                {
                    isNews = !_autoclear;
                    // Until it is told: a last close that came first would be told first.
                    _autoclear = _held = true;
                }
                else
                {
                    Unbind();
                }
            }
            if (isOpen)
            {
                try
                {
                    if (isNews)
                        Report(cleared, DeviceChange.StatusChanged);
                }
                finally
                {
                    Release();
                }
                return true;
            }
        }
        Finish(cleared, DeviceChange.Cleared);
        return false;
    }

    /// <summary>Changes the device's status (LOOP_SET_STATUS64).</summary>
    /// <param name="change">What to change.</param>
    /// <returns>What the user should know, a sentence each.</returns>
    /// <exception cref="LinuxException">ENXIO: not bound. EAGAIN: it is open, and its place in the file was to change.
    /// Otherwise a value will not do; nothing is changed then.</exception>
    public IReadOnlyList<string> SetStatus(BindingChange change) => Control((binding, warnings) =>
    {
        binding.Check(change);
        bool scans = change.Partscan == true && !binding.Status.Partscan;
        lock (_gate)
        {
            if (binding.Moves(change))
            {
                if (_openers > 0)
                    throw LinuxException.WithMessage(Errno.EAGAIN, $"{Name} is open: its offset and size limit can only change while it is closed");
                scans = true;
            }
            binding.Change(change);
            _autoclear = change.Autoclear ?? _autoclear;
        }
        // At another place in the file direct I/O may make no sense.
        if (binding.UsesDirectIo && binding.SetDirectIo(true) is { } refused)
            warnings.Add(refused.Message);
        Report(binding, DeviceChange.StatusChanged);
        if (scans)
            Rescan(binding, warnings);
    });

    /// <summary>Gives a read-only device another backing file of the same size (LOOP_CHANGE_FD), be it open or not.</summary>
    /// <param name="file">The file; it stays the caller's.</param>
    /// <exception cref="LinuxException">ENXIO: not bound. EINVAL: not read-only, or the file will not do.</exception>
    public void ChangeBackingFile(FileDescriptor file) => Control((binding, warnings) =>
    {
        binding.ChangeFile(file);
        Report(binding, DeviceChange.FileChanged);
        Rescan(binding, warnings);
    });

    /// <summary>Takes over the size that the backing file has now (LOOP_SET_CAPACITY).</summary>
    /// <returns>What the user should know, a sentence each.</returns>
    /// <exception cref="LinuxException">ENXIO: not bound.</exception>
    public IReadOnlyList<string> SetCapacity() => Control((binding, warnings) =>
    {
        long before = binding.Store.Length;
        binding.RefreshLength();
        if (binding.Store.Length != before)
            Report(binding, DeviceChange.Resized);
        Rescan(binding, warnings);
    });

    /// <summary>Turns direct I/O on the backing file on or off (LOOP_SET_DIRECT_IO).</summary>
    /// <exception cref="LinuxException">ENXIO: not bound. EINVAL: the file cannot do it.</exception>
    public void SetDirectIo(bool enable) => Control((binding, _) =>
    {
        if (binding.SetDirectIo(enable) is { } refused)
            throw refused;
        Report(binding, DeviceChange.StatusChanged);
    });

    /// <summary>Sets the logical sector size in bytes (LOOP_SET_BLOCK_SIZE).</summary>
    /// <returns>What the user should know, a sentence each.</returns>
    /// <exception cref="LinuxException">ENXIO: not bound. EINVAL: no power of two from 512 to 4096. EBUSY: it is open, and
    /// has another one.</exception>
    public IReadOnlyList<string> SetSectorSize(int bytes) => Control((binding, warnings) =>
    {
        Binding.CheckSectorSize(bytes);
        if (binding.Status.SectorBytes == bytes)
            return;
        lock (_gate)
        {
            if (_openers > 0)
                throw LinuxException.WithMessage(Errno.EBUSY, $"{Name} is open: its sector size can only change while it is closed");
            binding.SetSectorSize(bytes);
        }
        Report(binding, DeviceChange.StatusChanged);
        Rescan(binding, warnings);
    });

    /// <summary>Reads the partition table anew (BLKRRPART).</summary>
    /// <returns>What the user should know, a sentence each.</returns>
    /// <exception cref="LinuxException">ENXIO: not bound. EINVAL: bound without partition scanning. EBUSY: a partition is open.</exception>
    public IReadOnlyList<string> Rescan() => Control((binding, warnings) =>
    {
        if (!binding.Status.Partscan)
            throw LinuxException.WithMessage(Errno.EINVAL, $"{Name} is bound without partition scanning");
        if (Rescan(binding, warnings) is { } open)
            throw LinuxException.WithMessage(Errno.EBUSY, $"{Name}p{open} is open: the partitions stay as they are");
    });

    /// <summary>Takes an unbound device for a bind to come.</summary>
    internal bool TryReserve()
    {
        lock (_gate)
            return _binding is null && !_removed && !_reserved && (_reserved = true);
    }

    /// <summary>Takes the device out of use for ever.</summary>
    internal bool TryRemove()
    {
        lock (_gate)
            return _binding is null && !_reserved && _openers == 0 && (_removed = true);
    }

    /// <summary>Whether nobody has bound it, nor is about to.</summary>
    internal bool IsFree
    {
        get
        {
            lock (_gate)
                return _binding is null && !_reserved && !_removed;
        }
    }

    /// <summary>Ends a reservation, with a binding or, after a failure, without.</summary>
    internal void Settle(Binding? binding, bool autoclear)
    {
        lock (_gate)
        {
            _reserved = false;
            _autoclear = binding is not null && autoclear;
            _reads = _writes = _bytesRead = _bytesWritten = _errors = 0;
            _binding = binding;
        }
    }

    /// <summary>Carries out one control operation at a time, and keeps a last close from taking the binding away meanwhile.</summary>
    private List<string> Control(Action<Binding, List<string>> operation)
    {
        var warnings = new List<string>();
        lock (_control)
        {
            Binding binding;
            lock (_gate)
            {
                binding = _binding ?? throw NotBound();
                _held = true;
            }
            try
            {
                operation(binding, warnings);
            }
            finally
            {
                Release();
            }
        }
        return warnings;
    }

    private void RescanAfterClose()
    {
        try
        {
            Control((binding, warnings) => Rescan(binding, warnings));
        }
        catch (LinuxException gone) when (gone.Errno == Errno.ENXIO)
        {
            // Cleared meanwhile, and its partitions with it.
        }
    }

    private void Release()
    {
        Binding? cleared = null;
        lock (_gate)
        {
            if (_closedWhileHeld && _openers == 0 && _autoclear)
                cleared = Unbind();
            _held = _closedWhileHeld = false;
        }
        Finish(cleared, DeviceChange.ClearedAtLastClose);
    }

    /// <summary>Shows the partitions that the table names now, unless one of the present ones is open.</summary>
    /// <returns>The number of a partition that is open, or null.</returns>
    private int? Rescan(Binding binding, List<string> warnings)
    {
        if (!binding.Status.Partscan)
            return null;
        DevicePartition[] found = binding.Scan(Name, warnings);
        IReadOnlyList<DevicePartition> former = binding.Partitions;
        lock (_gate)
        {
            if (former.FirstOrDefault(partition => partition.Openers > 0) is { } open)
            {
                warnings.Add($"{Name}p{open.Number} is open: the partitions stay as they are");
                return open.Number;
            }
            binding.Show(found);
        }
        Report(binding, DeviceChange.Scanned, former);
        return null;
    }

    /// <summary>Makes the device what it was in another process; nobody can have it open here yet.</summary>
    internal void Restore(Binding binding, bool autoclear, DeviceStatistics statistics)
    {
        Settle(binding, autoclear);
        (_reads, _writes, _bytesRead, _bytesWritten, _errors) =
            (statistics.Reads, statistics.Writes, statistics.BytesRead, statistics.BytesWritten, statistics.Errors);
    }

    /// <summary>Counts files that were opened with another process and still are.</summary>
    /// <param name="partition">Which partition; 0 is the whole device.</param>
    /// <param name="count">How many.</param>
    public void Resume(int partition, int count)
    {
        lock (_gate)
        {
            _openers += count;
            _binding?.FindPartition(partition)?.Count(count);
            // Whether one of them may write was not noted; looking once too often at the table does no harm.
            _tableMayHaveChanged |= partition == 0;
        }
    }

    private LinuxException NotBound() => LinuxException.WithMessage(Errno.ENXIO, $"{Name} is not bound to a file");

    private Binding? Unbind()
    {
        Binding? binding = _binding;
        _binding = null;
        _autoclear = false;
        return binding;
    }

    private void Finish(Binding? cleared, DeviceChange change)
    {
        if (cleared is null)
            return;
        cleared.Dispose();
        Report(cleared, change, cleared.Partitions);
    }

    /// <summary>Never under the gate: whoever is told may wait for the kernel, and the kernel for an open.</summary>
    private void Report(Binding binding, DeviceChange change, IReadOnlyList<DevicePartition>? former = null) =>
        _table.Report(new DeviceChanged(this, change, binding, former ?? []));

    private Errno Clip(int partition, long offset, ref long length, out BlockStore? store)
    {
        Binding? binding = _binding;
        store = binding?.StoreOf(partition);
        if (store is null)
            return Errno.ENXIO;
        if (binding!.IsReadOnly)
            return Errno.EROFS;
        if (offset < 0 || length < 0)
            return Errno.EINVAL;
        length = Math.Min(length, Math.Max(0, store.Length - offset));
        return Errno.None;
    }

    private Errno Failed(string operation, int partition, long offset, long length, Errno error)
    {
        Interlocked.Increment(ref _errors);
        offset += _binding?.FindPartition(partition)?.OffsetBytes ?? 0;
        _table.Report(new DeviceFailure(this, operation, offset, length, error));
        return error;
    }
}
