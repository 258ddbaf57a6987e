using System.Globalization;
using System.Security.Cryptography;
using LoopDaemon.Devices;
using LoopDaemon.Fuse;
using LoopDaemon.Linux;
using LoopDaemon.Transfers;
using Microsoft.Extensions.Logging;

namespace LoopDaemon.Daemon.Survival;

/// <summary>Keeps what the next daemon needs to go on where this one ends: in the store of descriptors, and in the state file
/// there. What is told to anybody was kept before.</summary>
internal sealed partial class StateKeeper : IDisposable
{
    private const int DaemonCell = 0;
    private const char BackingFilePrefix = 'b';

    private readonly DescriptorStore _store;
    private readonly StateFile _state;
    private readonly DeviceTable _table;
    private readonly ILogger _logger;
    private readonly Lock _gate = new();

    /// <summary>By device number: the binding whose record and backing file are kept.</summary>
    private readonly Dictionary<int, Kept> _kept = [];
    private DaemonRecord? _daemon;
    private long _generation;
    private volatile bool _closed;

    /// <summary>Begins to keep.</summary>
    /// <param name="store">Where descriptors are kept.</param>
    /// <param name="state">The state file, which this object owns from now on.</param>
    /// <param name="table">The devices.</param>
    /// <param name="logger">Told what cannot be kept.</param>
    internal StateKeeper(DescriptorStore store, StateFile state, DeviceTable table, ILogger logger)
    {
        _store = store;
        _state = state;
        _table = table;
        _logger = logger;
        Keep(DescriptorStore.State, state.File);
    }

    /// <summary>What is kept for a device.</summary>
    /// <param name="Binding">Its binding.</param>
    /// <param name="File">The name of its backing file's descriptor.</param>
    /// <param name="Device">The backing file's device.</param>
    /// <param name="Inode">The backing file's inode.</param>
    /// <param name="IsShared">Whether the name may serve several devices: the description is the binder's own, and a store keeps
    /// each description once.</param>
    private sealed record Kept(Binding Binding, string File, ulong Device, ulong Inode, bool IsShared);

    /// <summary>Has the store keep a descriptor.</summary>
    internal void Keep(string name, FileDescriptor descriptor)
    {
        if (_store.Keep(name, descriptor) is var error and not Errno.None)
            LogNotKept(_logger, name, error.Describe());
    }

    /// <summary>Notes a new mount, before INIT is answered and the connection is kept.</summary>
    internal void BeginMount(string mountPoint, bool ownsMountPoint)
    {
        lock (_gate)
        {
            _daemon = new DaemonRecord
            {
                Version = DaemonRecord.CurrentVersion,
                Program = ProgramVersion.Text,
                MountPoint = mountPoint,
                OwnsMountPoint = ownsMountPoint,
            };
            _state.Write(DaemonCell, _daemon.ToBytes());
        }
    }

    /// <summary>Goes on with the mount of the last daemon.</summary>
    internal void ResumeMount(DaemonRecord daemon)
    {
        lock (_gate)
        {
            _daemon = daemon with { Program = ProgramVersion.Text };
            _state.Write(DaemonCell, _daemon.ToBytes());
        }
    }

    /// <summary>Notes what INIT settled, before it is answered.</summary>
    internal void Negotiated(FuseNegotiation negotiation)
    {
        lock (_gate)
        {
            _daemon = _daemon! with { Negotiation = negotiation };
            _state.Write(DaemonCell, _daemon.ToBytes());
        }
    }

    /// <summary>What the last daemon noted of its mount.</summary>
    /// <exception cref="LinuxException">It is of a version that this program does not understand, or damaged.</exception>
    internal static DaemonRecord ReadDaemon(StateFile state) => DaemonRecord.Parse(state.Read(DaemonCell));

    /// <summary>How many devices are noted.</summary>
    internal static int CountDevices(StateFile state) => state.Cells().Count(cell => cell != DaemonCell && DeviceRecord.Parse(state.Read(cell)!).File is not null);

    /// <summary>Makes the devices again that the last daemon has noted; their backing files come back as descriptors.</summary>
    internal void Restore(InheritedDescriptors inherited)
    {
        var files = new Dictionary<string, FileDescriptor>();
        foreach (int cell in _state.Cells().Where(cell => cell != DaemonCell).ToList())
        {
            int number = cell - 1;
            var record = DeviceRecord.Parse(_state.Read(cell)!);
            try
            {
                Restore(number, record, inherited, files);
            }
            catch (Exception lost) when (lost is LinuxException or TransferException)
            {
                // Its requests are answered with ENXIO; the others need not suffer.
                LogLost(_logger, number, ControlCharacters.Escape(record.BackingPath), lost.Message);
            }
        }
        foreach (FileDescriptor file in files.Values)
            file.Dispose();
        // What was kept for a bind that the last daemon did not live to note.
        foreach (string orphan in inherited.Names.Where(name => name.StartsWith(BackingFilePrefix)))
            _store.Drop(orphan);
    }

    /// <summary>Notes a change. The device as it is now counts, not the change: two may come in the wrong order.</summary>
    internal void OnChanged(DeviceChanged changed) => Note(changed.Device.Number, changed.Request is { } request ? (changed.Binding!, request) : null);

    /// <summary>Notes the devices once more, for what changes without a word: their statistics.</summary>
    internal void NoteAll()
    {
        foreach (LoopDevice device in _table.Devices.Where(device => device.Binding is not null))
            Note(device.Number, null);
    }

    /// <summary>Drops everything: there is no mount any more that a next daemon could go on with.</summary>
    internal void Forget()
    {
        if (Interlocked.Exchange(ref _closed, true))
            return;
        lock (_gate)
        {
            // The connection first: without it the next daemon takes nothing of the rest.
            foreach (string name in (ReadOnlySpan<string>)[DescriptorStore.Connection, DescriptorStore.Slots, DescriptorStore.Opens, DescriptorStore.State, DescriptorStore.Listener])
                _store.Drop(name);
            foreach (Kept kept in _kept.Values)
                _store.Drop(kept.File);
        }
    }

    public void Dispose() => _state.Dispose();

    private void Note(int number, (Binding Binding, BindRequest Request)? bound)
    {
        if (_closed)
            return;
        try
        {
            lock (_gate)
            {
                LoopDevice? device = _table.Find(number);
                if (device?.Binding is { } binding)
                    NoteBinding(device, binding, bound);
                else
                    NoteUnbound(number, stays: device is not null && number >= _table.MaxLoop);
            }
        }
        catch (LinuxException failure)
        {
            LogNotKept(_logger, $"loop{number}", failure.Message);
        }
    }

    private void NoteUnbound(int number, bool stays)
    {
        if (stays)
            _state.Write(CellOf(number), new DeviceRecord().ToBytes());
        else
            _state.Remove(CellOf(number));
        if (_kept.Remove(number, out Kept? former))
            DropFile(former);
    }

    private void NoteBinding(LoopDevice device, Binding binding, (Binding Binding, BindRequest Request)? bound)
    {
        int cell = CellOf(device.Number);
        Kept? former = _kept.GetValueOrDefault(device.Number);
        bool known = former?.Binding == binding;
        // Not the binding that the change is about: its own bind will be noted, or was.
        if (!known && bound?.Binding != binding)
            return;
        FileStatus backing = binding.Status.Backing;
        Kept kept = known && (former!.Device, former.Inode) == (backing.Device, backing.Inode) ? former : KeepFile(device.Number, binding, former);
        IReadOnlyList<TransferRecord> transfers = known
            ? DeviceRecord.Parse(_state.Read(cell)!).Transfers : [.. bound!.Value.Request.Transfers.Select(TransferRecord.Of)];
        byte[] record = DeviceRecord.Of(device, binding, kept.File, transfers).ToBytes();
        try
        {
            _state.Write(cell, record);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(record);
            foreach (TransferRecord transfer in transfers)
                CryptographicOperations.ZeroMemory(transfer.Key);
        }
        _kept[device.Number] = kept;
        if (former is not null && former != kept)
            DropFile(former);
    }

    private Kept KeepFile(int number, Binding binding, Kept? former)
    {
        FileStatus backing = binding.Status.Backing;
        using FileDescriptor file = binding.DuplicateBackingFile();
        OpenFlags access = binding.IsReadOnly ? OpenFlags.ReadOnly : OpenFlags.ReadWrite;
        bool isShared = file.TryReopen(access, out FileDescriptor? own) != Errno.None;
        using (own)
        {
            // Handed over by somebody with rights that this daemon has not.
            if (isShared && _kept.Values.FirstOrDefault(other => other.IsShared && (other.Device, other.Inode) == (backing.Device, backing.Inode)
                && other.Binding.IsReadOnly == binding.IsReadOnly) is { } same)
            {
                return same with { Binding = binding };
            }
            // Short: the names of all come back in one environment variable, and the kernel takes 128 KiB at most.
            string name;
            do
                name = string.Create(CultureInfo.InvariantCulture, $"{BackingFilePrefix}{number}.{++_generation % 1000}");
            while (name == former?.File);
            Keep(name, own ?? file);
            return new Kept(binding, name, backing.Device, backing.Inode, isShared);
        }
    }

    private void DropFile(Kept former)
    {
        if (!former.IsShared || _kept.Values.All(other => other.File != former.File))
            _store.Drop(former.File);
    }

    private void Restore(int number, DeviceRecord record, InheritedDescriptors inherited, Dictionary<string, FileDescriptor> files)
    {
        if (record.File is null)
        {
            _table.Restore(number, null, null);
            return;
        }
        bool isShared = files.TryGetValue(record.File, out FileDescriptor? file);
        file ??= inherited.Take(record.File) ?? throw LinuxException.WithMessage(Errno.EBADF, "its descriptor is not in the store");
        files.TryAdd(record.File, file);
        BindRequest request = record.ToRequest(file.Duplicate());
        try
        {
            Binding binding = _table.Restore(number, request, record.ToState()).Binding!;
            FileStatus backing = binding.Status.Backing;
            lock (_gate)
                _kept[number] = new Kept(binding, record.File, backing.Device, backing.Inode, isShared);
        }
        finally
        {
            foreach (TransferSpec transfer in request.Transfers)
                transfer.Key?.Dispose();
        }
    }

    private static int CellOf(int number) => number + 1;

    [LoggerMessage(LogLevel.Warning, "{What} would not outlive this daemon: {Reason}")]
    private static partial void LogNotKept(ILogger logger, string what, string reason);

    [LoggerMessage(LogLevel.Error, "loop{Device} on {BackingFile} is lost: {Reason}")]
    private static partial void LogLost(ILogger logger, int device, string backingFile, string reason);
}
