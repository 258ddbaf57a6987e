using LoopDaemon.Linux;
using LoopDaemon.Storage;

namespace LoopDaemon.Devices;

/// <summary>One numbered device: unbound, or bound to a backing file; opened any number of times. I/O takes no lock: a
/// binding is only replaced while nothing has the device open.</summary>
public sealed class LoopDevice
{
    private readonly Lock _gate = new();
    private readonly DeviceTable _table;
    private volatile Binding? _binding;
    private bool _reserved;
    private bool _autoclear;
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

    /// <summary>How many times it is open.</summary>
    public int Openers => _openers;

    /// <summary>The counts since the device was bound.</summary>
    public DeviceStatistics Statistics => new(
        Interlocked.Read(ref _reads), Interlocked.Read(ref _writes), Interlocked.Read(ref _bytesRead),
        Interlocked.Read(ref _bytesWritten), Interlocked.Read(ref _errors));

    /// <summary>Opens the device.</summary>
    /// <param name="forWriting">Whether it is opened to write.</param>
    /// <returns>ENXIO when unbound, EROFS for writing to a read-only device.</returns>
    public Errno Open(bool forWriting)
    {
        lock (_gate)
        {
            if (_binding is not { } binding)
                return Errno.ENXIO;
            if (forWriting && binding.IsReadOnly)
                return Errno.EROFS;
            _openers++;
            return Errno.None;
        }
    }

    /// <summary>Closes the device once; the last close clears it if autoclear is set.</summary>
    public void Close()
    {
        Binding? cleared = null;
        lock (_gate)
        {
            if (_openers > 0 && --_openers == 0 && _autoclear)
                cleared = Unbind();
        }
        Finish(cleared, DeviceChange.ClearedAtLastClose);
    }

    /// <summary>Reads; at the end of the device fewer bytes than asked for, past it none.</summary>
    public Errno Read(long offset, Span<byte> destination, out int count)
    {
        count = 0;
        if (_binding?.Store is not { } store)
            return Errno.ENXIO;
        long left = store.Length - offset;
        if (left <= 0 || offset < 0)
            return Errno.None;
        if (destination.Length > left)
            destination = destination[..(int)left];
        Errno error = store.Read(offset, destination);
        if (error != Errno.None)
            return Failed("read", offset, destination.Length, error);
        count = destination.Length;
        Interlocked.Increment(ref _reads);
        Interlocked.Add(ref _bytesRead, count);
        return Errno.None;
    }

    /// <summary>Writes; across the end of the device fewer bytes than given, at or past it ENOSPC.</summary>
    /// <param name="offset">The first byte.</param>
    /// <param name="source">The bytes; left as they are.</param>
    /// <param name="scratch">Memory for an encoded copy, see <see cref="BlockStore.Write"/>.</param>
    /// <param name="count">How many bytes were written.</param>
    public Errno Write(long offset, ReadOnlySpan<byte> source, Span<byte> scratch, out int count)
    {
        count = 0;
        if (_binding is not { } binding)
            return Errno.ENXIO;
        if (binding.IsReadOnly)
            return Errno.EROFS;
        long left = binding.Store.Length - offset;
        if (source.Length == 0)
            return Errno.None;
        if (left <= 0 || offset < 0)
            return Errno.ENOSPC;
        if (source.Length > left)
            source = source[..(int)left];
        Errno error = binding.Store.Write(offset, source, scratch);
        if (error != Errno.None)
            return Failed("write", offset, source.Length, error);
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
        return error == Errno.None ? error : Failed("flush", 0, 0, error);
    }

    /// <summary>Gives space back; the range then reads as zeros. EOPNOTSUPP where that cannot be had.</summary>
    public Errno Discard(long offset, long length)
    {
        if (Clip(offset, ref length, out Binding? binding) is var error and not Errno.None)
            return error;
        if (length == 0)
            return Errno.None;
        error = binding!.Store.Discard(offset, length);
        return error is Errno.None or Errno.EOPNOTSUPP ? error : Failed("discard", offset, length, error);
    }

    /// <summary>Makes a range read as zeros.</summary>
    public Errno WriteZeroes(long offset, long length, Span<byte> scratch)
    {
        if (Clip(offset, ref length, out Binding? binding) is var error and not Errno.None)
            return error;
        if (length == 0)
            return Errno.None;
        error = binding!.Store.WriteZeroes(offset, length, scratch);
        return error == Errno.None ? error : Failed("write zeroes", offset, length, error);
    }

    /// <summary>Finds data or a hole; ENXIO past the end.</summary>
    public Errno Seek(SeekTarget target, long offset, out long found)
    {
        found = 0;
        return _binding?.Store is { } store ? store.Seek(target, offset, out found) : Errno.ENXIO;
    }

    /// <summary>Takes an unbound device for a bind to come.</summary>
    internal bool TryReserve()
    {
        lock (_gate)
            return _binding is null && !_reserved && (_reserved = true);
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

    /// <summary>Unbinds the device, or marks it to go at its last close (LOOP_CLR_FD).</summary>
    /// <param name="deferred">Whether it is still open, and so still bound.</param>
    /// <returns>ENXIO when it is not bound.</returns>
    internal Errno Clear(out bool deferred)
    {
        Binding? cleared;
        lock (_gate)
        {
            deferred = false;
            if (_binding is null)
                return Errno.ENXIO;
            if (_openers > 0)
            {
                _autoclear = deferred = true;
                return Errno.None;
            }
            cleared = Unbind();
        }
        Finish(cleared, DeviceChange.Cleared);
        return Errno.None;
    }

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
        _table.Report(this, cleared, change);
    }

    private Errno Clip(long offset, ref long length, out Binding? binding)
    {
        binding = _binding;
        if (binding is null)
            return Errno.ENXIO;
        if (binding.IsReadOnly)
            return Errno.EROFS;
        if (offset < 0 || length < 0)
            return Errno.EINVAL;
        length = Math.Min(length, Math.Max(0, binding.Store.Length - offset));
        return Errno.None;
    }

    private Errno Failed(string operation, long offset, long length, Errno error)
    {
        Interlocked.Increment(ref _errors);
        _table.Report(new DeviceFailure(this, operation, offset, length, error));
        return error;
    }
}
