using LoopDaemon.Linux;
using LoopDaemon.Transfers;

namespace LoopDaemon.Devices;

/// <summary>The devices: <c>max_loop</c> of them always exist, numbered from 0; further ones are made on demand. Any thread
/// may call.</summary>
public sealed class DeviceTable
{
    /// <summary>Device numbers are below this.</summary>
    public const int Limit = 65536;

    private readonly Lock _lock = new();

    /// <summary>Held by binds that must not overlap, so that no two of them miss each other.</summary>
    private readonly Lock _overlaps = new();
    private readonly TransferRegistry _registry;

    /// <summary>By number, with gaps; replaced by a longer one where needed. Written under the lock.</summary>
    private volatile LoopDevice?[] _devices;

    /// <summary>Makes a table of unbound devices.</summary>
    /// <param name="maxLoop">How many always exist, 1 to <see cref="Limit"/>.</param>
    /// <param name="registry">The transfers that a bind may name.</param>
    public DeviceTable(int maxLoop, TransferRegistry registry)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maxLoop, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(maxLoop, Limit);
        _registry = registry;
        MaxLoop = maxLoop;
        _devices = new LoopDevice[maxLoop];
        for (int i = 0; i < maxLoop; i++)
            _devices[i] = new LoopDevice(this, i);
    }

    /// <summary>A device has changed. Called on the thread that did it, possibly in the middle of a request.</summary>
    public event Action<DeviceChanged>? Changed;

    /// <summary>A request failed. Called on the thread that serves it: be quick.</summary>
    public event Action<DeviceFailure>? Failed;

    /// <summary>How many devices always exist.</summary>
    public int MaxLoop { get; }

    /// <summary>All devices by number.</summary>
    public IEnumerable<LoopDevice> Devices
    {
        get
        {
            foreach (LoopDevice? device in _devices)
            {
                if (device is not null)
                    yield return device;
            }
        }
    }

    /// <summary>The numbers of all devices are below this.</summary>
    public int End => _devices.Length;

    /// <summary>Whether any device is bound.</summary>
    public bool AnyBound => Array.Exists(_devices, device => device?.Binding is not null);

    /// <summary>The device with a number, or null.</summary>
    public LoopDevice? Find(long number)
    {
        LoopDevice?[] devices = _devices;
        return number >= 0 && number < devices.Length ? devices[number] : null;
    }

    /// <summary>The device with a number.</summary>
    /// <exception cref="LinuxException">ENODEV: there is none.</exception>
    public LoopDevice Get(long number) =>
        Find(number) ?? throw LinuxException.WithMessage(Errno.ENODEV, $"there is no device loop{number}");

    /// <summary>The lowest device that is free; where all that exist are bound, one is made (LOOP_CTL_GET_FREE).</summary>
    /// <exception cref="LinuxException">ENOSPC: all are bound, and no more may be made.</exception>
    public LoopDevice GetFree() => Devices.FirstOrDefault(device => device.Binding is null && device.IsFree) ?? Add(null);

    /// <summary>Makes a device (LOOP_CTL_ADD).</summary>
    /// <param name="number">Its number; null takes the lowest that there is not.</param>
    /// <exception cref="LinuxException">EEXIST: there is one. EINVAL: not below <see cref="Limit"/>. ENOSPC: no more may be made.</exception>
    public LoopDevice Add(int? number)
    {
        LoopDevice device;
        lock (_lock)
        {
            if (number is { } wanted && Find(wanted) is not null)
                throw LinuxException.WithMessage(Errno.EEXIST, $"there is a device loop{wanted} already");
            device = AddUnderLock(number);
        }
        Report(new DeviceChanged(device, DeviceChange.Added, null, []));
        return device;
    }

    /// <summary>Removes a device (LOOP_CTL_REMOVE).</summary>
    /// <exception cref="LinuxException">ENODEV: there is none. EBUSY: it is bound or open. EPERM: it is one of those that
    /// always exist.</exception>
    public void Remove(int number)
    {
        LoopDevice device;
        lock (_lock)
        {
            device = Get(number);
            if (device.Binding is null && device.Openers == 0 && number < MaxLoop)
                throw LinuxException.WithMessage(Errno.EPERM, $"{device.Name} is one of the {MaxLoop} devices that always exist (loopd --max-loop)");
            if (!device.TryRemove())
                throw LinuxException.WithMessage(Errno.EBUSY, $"{device.Name} is in use: detach it first");
            _devices[number] = null;
        }
        Report(new DeviceChanged(device, DeviceChange.Removed, null, []));
    }

    /// <summary>Binds a device (LOOP_CONFIGURE).</summary>
    /// <param name="number">Which one, made if there is none; null takes the lowest that is free.</param>
    /// <param name="request">To what; its backing file belongs to this call from now on.</param>
    /// <exception cref="LinuxException">EINVAL: there can be no device of that number; EBUSY: it is bound; ENOSPC: none is free; and what the backing file, offset, size limit or
    /// another number give rise to.</exception>
    /// <exception cref="TransferException">A transfer or its key will not do.</exception>
    /// <exception cref="OverlapException">With <see cref="BindRequest.NoOverlap"/>: it overlaps a bound device.</exception>
    public BindResult Bind(int? number, BindRequest request)
    {
        try
        {
            if (!request.NoOverlap)
                return BindFree(number, request);
            lock (_overlaps)
            {
                if (Reuse(number, request) is not { } reused)
                    return BindFree(number, request);
                request.BackingFile.Dispose();
                return reused;
            }
        }
        catch
        {
            request.BackingFile.Dispose();
            throw;
        }
    }

    /// <summary>Makes a device what it was in another process that has ended: bound, or just there. Nobody is told.</summary>
    /// <param name="number">Its number.</param>
    /// <param name="request">What it was bound by, with the values of its last status; null where it is not bound. The backing
    /// file belongs to this call from now on.</param>
    /// <param name="bound">What else there was of it.</param>
    /// <exception cref="LinuxException">The backing file or a number will not do.</exception>
    /// <exception cref="TransferException">A transfer or its key will not do.</exception>
    public LoopDevice Restore(int number, BindRequest? request, BoundState? bound)
    {
        try
        {
            LoopDevice device;
            lock (_lock)
                device = Find(number) ?? AddUnderLock(number);
            if (request is not null && bound is not null)
                device.Restore(Binding.Restore(request, bound, _registry), request.Autoclear, bound.Statistics);
            return device;
        }
        catch
        {
            request?.BackingFile.Dispose();
            throw;
        }
    }

    internal void Report(DeviceChanged change) => Changed?.Invoke(change);

    internal void Report(DeviceFailure failure) => Failed?.Invoke(failure);

    private BindResult BindFree(int? number, BindRequest request)
    {
        LoopDevice device = Reserve(number);
        Binding? binding = null;
        var warnings = new List<string>();
        try
        {
            binding = Binding.Create(device.Name, request, _registry, warnings);
        }
        finally
        {
            device.Settle(binding, request.Autoclear);
        }
        Report(new DeviceChanged(device, DeviceChange.Bound, binding, [], request));
        return new BindResult(device, binding, Reused: false, warnings);
    }

    /// <summary>The rules of <c>losetup --nooverlap</c>.</summary>
    /// <returns>The device that is bound to just this, or null where nothing overlaps.</returns>
    private BindResult? Reuse(int? number, BindRequest request)
    {
        string path = request.BackingFile.DescribePath();
        if (request.BackingFile.GetStatus(out FileStatus file) is var error and not Errno.None)
            throw new LinuxException(error, $"cannot look at {path}");
        foreach (LoopDevice device in Devices)
        {
            if (device.Binding is not { Status: { } status } binding
                || (status.Backing.Inode, status.Backing.Device) != (file.Inode, file.Device))
            {
                continue;
            }
            bool same = (status.OffsetBytes, status.SizeLimitBytes) == (request.OffsetBytes, request.SizeLimitBytes);
            if (!same && AreDisjoint(status, request))
                continue;
            if (!same || number is not null)
                throw new OverlapException("overlapping loop device exists");
            if (binding.IsReadOnly && !request.IsReadOnly)
                throw new OverlapException("overlapping read-only loop device exists");
            if (binding.HasTransfers || request.Transfers.Count > 0)
                throw new OverlapException("overlapping encrypted loop device exists");
            if (binding.OwnerUid != request.OwnerUid)
                throw new OverlapException("overlapping loop device of another user exists");
            try
            {
                device.SetStatus(new BindingChange { Autoclear = false });
                return new BindResult(device, binding, Reused: true, []);
            }
            catch (LinuxException gone) when (gone.Errno == Errno.ENXIO)
            {
                // Cleared this moment: nothing overlaps it any more.
            }
        }
        return null;
    }

    private static bool AreDisjoint(BindingStatus bound, BindRequest request) =>
        (bound.SizeLimitBytes != 0 && request.OffsetBytes - bound.OffsetBytes >= bound.SizeLimitBytes)
        || (request.SizeLimitBytes != 0 && bound.OffsetBytes - request.OffsetBytes >= request.SizeLimitBytes);

    private LoopDevice Reserve(int? number)
    {
        if (number is not { } wanted)
            return ReserveAny();
        while (true)
        {
            LoopDevice device = FindOrAdd(wanted);
            if (device.TryReserve())
                return device;
            // One that was removed this moment is made again.
            if (Find(wanted) == device)
                throw LinuxException.WithMessage(Errno.EBUSY, $"{device.Name} is bound to {device.Binding?.Status.BackingPath ?? "a file"}");
        }
    }

    private LoopDevice ReserveAny()
    {
        LoopDevice? reserved = null;
        while (reserved is null)
        {
            reserved = Devices.FirstOrDefault(device => device.Binding is null && device.TryReserve());
            // One that is made may be another's before it is found.
            if (reserved is null)
                Add(null);
        }
        return reserved;
    }

    private LoopDevice FindOrAdd(int number)
    {
        LoopDevice? device;
        bool added = false;
        lock (_lock)
        {
            device = Find(number);
            if (device is null)
            {
                device = AddUnderLock(number);
                added = true;
            }
        }
        if (added)
            Report(new DeviceChanged(device, DeviceChange.Added, null, []));
        return device;
    }

    private LoopDevice AddUnderLock(int? number)
    {
        LoopDevice?[] devices = _devices;
        int gap = Array.IndexOf(devices, null);
        int place = number ?? (gap >= 0 ? gap : devices.Length);
        if (place is < 0 or >= Limit)
        {
            throw number is null
                ? LinuxException.WithMessage(Errno.ENOSPC, $"all {Limit} devices are bound: detach one")
                : LinuxException.WithMessage(Errno.EINVAL, $"there can be no device loop{place}: numbers are 0 to {Limit - 1}");
        }
        if (place >= devices.Length)
        {
            Array.Resize(ref devices, Math.Min(Limit, Math.Max(place + 1, 2 * devices.Length)));
            _devices = devices;
        }
        return devices[place] = new LoopDevice(this, place);
    }
}

/// <summary>A bind was refused because it overlaps a bound device; the message is losetup's.</summary>
public sealed class OverlapException(string message) : Exception(message);

/// <summary>What came of a bind.</summary>
/// <param name="Device">The device.</param>
/// <param name="Binding">The binding as it was made; the device may be cleared again by now.</param>
/// <param name="Reused">Whether the device was bound before, and is used again.</param>
/// <param name="Warnings">What the binder should know although the bind succeeded, a sentence each.</param>
public sealed record BindResult(LoopDevice Device, Binding Binding, bool Reused, IReadOnlyList<string> Warnings);
