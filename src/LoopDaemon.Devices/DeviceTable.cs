using LoopDaemon.Linux;
using LoopDaemon.Transfers;

namespace LoopDaemon.Devices;

/// <summary>What happened to a device.</summary>
public enum DeviceChange
{
    /// <summary>It was bound.</summary>
    Bound,
    /// <summary>It was unbound on request, while nobody had it open.</summary>
    Cleared,
    /// <summary>It was unbound by its last close (autoclear).</summary>
    ClearedAtLastClose,
}

/// <summary>A request that failed in the backing file.</summary>
/// <param name="Device">The device.</param>
/// <param name="Operation">"read", "write", "flush", "discard" or "write zeroes".</param>
/// <param name="Offset">The first byte on the device.</param>
/// <param name="Length">How many bytes.</param>
/// <param name="Error">Why.</param>
public sealed record DeviceFailure(LoopDevice Device, string Operation, long Offset, long Length, Errno Error);

/// <summary>The devices: <c>max_loop</c> of them always exist, numbered from 0.</summary>
public sealed class DeviceTable
{
    /// <summary>The greatest number of devices.</summary>
    public const int Limit = 65536;

    private readonly LoopDevice[] _devices;
    private readonly TransferRegistry _registry;

    /// <summary>Makes a table of unbound devices.</summary>
    /// <param name="maxLoop">How many, 1 to <see cref="Limit"/>.</param>
    /// <param name="registry">The transfers that a bind may name.</param>
    public DeviceTable(int maxLoop, TransferRegistry registry)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maxLoop, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(maxLoop, Limit);
        _registry = registry;
        _devices = new LoopDevice[maxLoop];
        for (int i = 0; i < maxLoop; i++)
            _devices[i] = new LoopDevice(this, i);
    }

    /// <summary>A device was bound or cleared. Called on the thread that did it, possibly in the middle of a request.</summary>
    public event Action<LoopDevice, Binding, DeviceChange>? Changed;

    /// <summary>A request failed. Called on the thread that serves it: be quick.</summary>
    public event Action<DeviceFailure>? Failed;

    /// <summary>All devices by number.</summary>
    public IReadOnlyList<LoopDevice> Devices => _devices;

    /// <summary>Whether any device is bound.</summary>
    public bool AnyBound => Array.Exists(_devices, device => device.Binding is not null);

    /// <summary>The device with a number, or null.</summary>
    public LoopDevice? Find(long number) =>
        number >= 0 && number < _devices.Length ? _devices[number] : null;

    /// <summary>The lowest unbound device, or null.</summary>
    public LoopDevice? FindFree() => Array.Find(_devices, device => device.Binding is null);

    /// <summary>Binds a device.</summary>
    /// <param name="number">Which one; null takes the lowest that is free.</param>
    /// <param name="request">To what; its backing file belongs to this call from now on.</param>
    /// <param name="bound">The binding as it was made; the device may be cleared again by now.</param>
    /// <exception cref="LinuxException">ENODEV: there is no such device; EBUSY: it is bound; ENOSPC: none is free; and
    /// what the backing file, offset or size limit give rise to.</exception>
    /// <exception cref="TransferException">A transfer or its key will not do.</exception>
    public LoopDevice Bind(int? number, BindRequest request, out Binding bound)
    {
        LoopDevice device;
        try
        {
            device = Reserve(number);
        }
        catch
        {
            request.BackingFile.Dispose();
            throw;
        }
        Binding? binding = null;
        try
        {
            binding = Binding.Create(request, _registry);
        }
        catch
        {
            request.BackingFile.Dispose();
            throw;
        }
        finally
        {
            device.Settle(binding, request.Autoclear);
        }
        bound = binding;
        Report(device, binding, DeviceChange.Bound);
        return device;
    }

    /// <summary>Unbinds a device, or marks one that is open to go at its last close (lazy autoclear).</summary>
    /// <returns>Whether it is deferred.</returns>
    /// <exception cref="LinuxException">ENXIO: the device is not bound.</exception>
    public static bool Clear(LoopDevice device)
    {
        Errno error = device.Clear(out bool deferred);
        return error == Errno.None ? deferred
            : throw LinuxException.WithMessage(error, $"{device.Name} is not bound to a file");
    }

    internal void Report(LoopDevice device, Binding binding, DeviceChange change) => Changed?.Invoke(device, binding, change);

    internal void Report(DeviceFailure failure) => Failed?.Invoke(failure);

    private LoopDevice Reserve(int? number)
    {
        if (number is { } wanted)
        {
            LoopDevice device = Find(wanted) ?? throw LinuxException.WithMessage(Errno.ENODEV,
                $"there is no device loop{wanted}: the devices are loop0 to loop{_devices.Length - 1}");
            return device.TryReserve() ? device
                : throw LinuxException.WithMessage(Errno.EBUSY, $"{device.Name} is in use: it is bound to {device.Binding?.BackingPath ?? "a file"}");
        }
        return Array.Find(_devices, device => device.TryReserve()) ?? throw LinuxException.WithMessage(Errno.ENOSPC,
            $"all {_devices.Length} devices are bound: clear one, or start loopd with a larger --max-loop");
    }
}
