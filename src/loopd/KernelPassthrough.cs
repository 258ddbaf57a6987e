using System.Runtime.CompilerServices;
using LoopDaemon.Devices;
using LoopDaemon.Fuse;
using LoopDaemon.Linux;
using Microsoft.Extensions.Logging;

namespace LoopDaemon.Daemon;

/// <summary>Has the kernel read and write backing files itself, where a device is nothing but its backing file (FUSE
/// passthrough, Linux 6.9, CAP_SYS_ADMIN).
///
/// A backing file is registered while its device is open. As the daemon sees none of its reads and writes, it does not count
/// them, and the end of the device is no end for a writer: what is written behind it makes the backing file longer. That is
/// noticed at the last close.</summary>
internal sealed partial class KernelPassthrough(ILogger<KernelPassthrough> logger)
{
    /// <summary>Why the kernel has refused to register a binding's backing file.</summary>
    private readonly ConditionalWeakTable<Binding, string> _refusals = [];

    private FuseConnection? _connection;
    private string? _obstacle = "is of a daemon that has only begun";

    /// <summary>What keeps it from all devices, a sentence without its subject; or null.</summary>
    internal string? Obstacle => _obstacle;

    /// <summary>Takes up work on a mount whose INIT is answered.</summary>
    internal void Begin(FuseConnection connection, FuseNegotiation negotiation)
    {
        _connection = connection;
        _obstacle = negotiation.HasPassthrough ? Try(connection) : "is served by a kernel without FUSE passthrough (Linux 6.9 or later has it)";
    }

    /// <summary>What keeps the kernel from reading and writing a device's backing file itself.</summary>
    /// <returns>A sentence without its subject, the device; null where nothing does.</returns>
    internal string? ObstacleOf(Binding binding) =>
        binding.PassthroughObstacle() ?? _obstacle ?? (_refusals.TryGetValue(binding, out string? refusal) ? refusal : null);

    /// <summary>Refuses a binding that cannot be passed through though it must.</summary>
    /// <exception cref="LinuxException">EINVAL: it cannot.</exception>
    internal void Require(Binding binding)
    {
        string? obstacle = ObstacleOf(binding);
        if (obstacle is null)
        {
            obstacle = TryRegister(binding, out int backingId);
            if (obstacle is null)
            {
                _connection!.CloseBacking(backingId);
                binding.EndPassthrough();
                return;
            }
        }
        throw LinuxException.WithMessage(Errno.EINVAL, $"passthrough cannot be: the device {obstacle}; --passthrough=auto does without it");
    }

    /// <summary>Registers the backing file of a device that is being opened.</summary>
    /// <param name="device">The device; it is bound.</param>
    /// <param name="backingId">What to tell the kernel in each reply to an open.</param>
    /// <returns>False where the daemon is to do the I/O.</returns>
    internal bool TryBegin(LoopDevice device, out int backingId)
    {
        backingId = 0;
        if (device.Binding is not { } binding || ObstacleOf(binding) is not null)
            return false;
        if (TryRegister(binding, out backingId) is not { } refusal)
            return true;
        _refusals.AddOrUpdate(binding, refusal);
        LogRefused(logger, device.Name, refusal);
        return false;
    }

    /// <summary>Gives back the backing file of a device that nobody has open any more.</summary>
    /// <param name="device">The device.</param>
    /// <param name="backingId">What <see cref="TryBegin"/> gave.</param>
    /// <param name="written">Whether anybody had it open to write.</param>
    internal void End(LoopDevice device, int backingId, bool written)
    {
        _connection!.CloseBacking(backingId);
        if (device.Binding is not { } binding)
            return;
        binding.EndPassthrough();
        if (written && binding.BytesPastEnd() is var bytes and > 0)
            LogGrown(logger, device.Name, bytes, ControlCharacters.Escape(binding.Status.BackingPath), binding.Store.Length);
    }

    /// <summary>Registers a file of no meaning: rights that are missing are better known now than at each open.</summary>
    private static string? Try(FuseConnection connection)
    {
        using FileDescriptor file = FileDescriptor.CreateMemory("loopd-passthrough", 0);
        Errno error = connection.OpenBacking(file, out int backingId);
        if (error == Errno.None)
            connection.CloseBacking(backingId);
        return error == Errno.None ? null : Explain(error);
    }

    private string? TryRegister(Binding binding, out int backingId)
    {
        int id = 0;
        Errno error = binding.TryPassThrough(file => _connection!.OpenBacking(file, out id));
        backingId = id;
        return error == Errno.None ? null : Explain(error);
    }

    private static string Explain(Errno error) => error switch
    {
        Errno.EPERM => "is served by a loopd without CAP_SYS_ADMIN, which FUSE passthrough needs",
        Errno.ELOOP => "has its backing file on a stacked file system, such as overlayfs",
        _ => $"has a backing file that the kernel does not take ({error.Describe()})",
    };

    [LoggerMessage(LogLevel.Information, "{Device} is served without passthrough: it {Refusal}")]
    private static partial void LogRefused(ILogger logger, string device, string refusal);

    [LoggerMessage(LogLevel.Warning, "{Device}: {Bytes} bytes are behind the end of the device now: {BackingFile} has grown, as the kernel writes there itself. truncate -s {Size} cuts them off, losetup's -c (loopctl -c) makes the device larger; --passthrough=off keeps writers within the device")]
    private static partial void LogGrown(ILogger logger, string device, long bytes, string backingFile, long size);
}
