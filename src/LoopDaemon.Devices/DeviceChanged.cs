using LoopDaemon.Linux;

namespace LoopDaemon.Devices;

/// <summary>What happened to a device.</summary>
public enum DeviceChange
{
    /// <summary>It was made on demand.</summary>
    Added,
    /// <summary>It was removed.</summary>
    Removed,
    /// <summary>It was bound.</summary>
    Bound,
    /// <summary>It was unbound on request, while nobody had it open.</summary>
    Cleared,
    /// <summary>It was unbound by its last close (autoclear).</summary>
    ClearedAtLastClose,
    /// <summary>It has another size.</summary>
    Resized,
    /// <summary>It has another status: flags, direct I/O, sector size, offset, size limit, reference.</summary>
    StatusChanged,
    /// <summary>It has another backing file.</summary>
    FileChanged,
    /// <summary>Its partition table was read anew.</summary>
    Scanned,
}

/// <summary>A change of a device.</summary>
/// <param name="Device">The device.</param>
/// <param name="Change">What happened.</param>
/// <param name="Binding">What it is bound to, or was until now; null where it is not about a binding.</param>
/// <param name="FormerPartitions">The partitions that it had until now, where these have changed.</param>
/// <param name="Request">What it was bound by, where it was bound just now; its keys are wiped soon after.</param>
public sealed record DeviceChanged(
    LoopDevice Device, DeviceChange Change, Binding? Binding, IReadOnlyList<DevicePartition> FormerPartitions, BindRequest? Request = null);

/// <summary>A request that failed in the backing file.</summary>
/// <param name="Device">The device.</param>
/// <param name="Operation">"read", "write", "flush", "discard" or "write zeroes".</param>
/// <param name="Offset">The first byte on the device.</param>
/// <param name="Length">How many bytes.</param>
/// <param name="Error">Why.</param>
public sealed record DeviceFailure(LoopDevice Device, string Operation, long Offset, long Length, Errno Error);
