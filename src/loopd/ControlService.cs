using LoopDaemon.Control;
using LoopDaemon.Devices;
using LoopDaemon.Linux;
using LoopDaemon.Storage;
using LoopDaemon.Transfers;
using Microsoft.Extensions.Logging;

namespace LoopDaemon.Daemon;

/// <summary>What the control socket's methods do. Root and the daemon's own user may do everything, anybody else sees and
/// clears what he bound.</summary>
internal sealed partial class ControlService(
    DeviceTable table, TransferRegistry registry, KernelPassthrough passthrough, LoopdOptions options, DeviceDirectory directory, EventFeed events, EndRequest end,
    ILogger<ControlService> logger) : IControlService
{
    private const int PermissionBits = 0b110_110_110;
    private const int OwnerOnly = 0b110_000_000;

    /// <summary>The kernel tells of a file's last close just after close(2) has returned; whoever closes a device and then
    /// clears it should find it gone.</summary>
    private static readonly TimeSpan LastCloseTime = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan KeyTime = TimeSpan.FromSeconds(10);

    public ConfigureReply Configure(ConfigureRequest request, ControlCaller caller)
    {
        var keys = new List<SecretKey>();
        try
        {
            CheckAccess(request, caller);
            CheckBackingFile(request.BackingFile);
            Passthrough choice = request.Passthrough is { } asked ? Choice(asked) : options.Passthrough;
            var transfers = request.Transfers.Select(transfer => Specify(transfer, keys)).ToList();
            BindResult bound = table.Bind(request.Device, new BindRequest
            {
                BackingFile = request.BackingFile.Duplicate(),
                OffsetBytes = request.Offset,
                SizeLimitBytes = request.SizeLimit,
                IsReadOnly = request.ReadOnly,
                Autoclear = request.Autoclear,
                Partscan = request.Partscan,
                DirectIo = request.DirectIo,
                Passthrough = choice,
                Check = choice == Passthrough.On ? passthrough.Require : null,
                SectorBytes = request.SectorSize,
                Reference = request.Reference,
                NoOverlap = request.NoOverlap,
                Transfers = transfers,
                AllowDiscards = request.AllowDiscards,
                SectorsFromOffset = request.SectorsFromOffset,
                OwnerUid = caller.Peer.UserId,
                OwnerGid = request.Group ?? caller.Peer.GroupId,
                Permissions = (uint)(request.Mode ?? OwnerOnly),
            });
            return new ConfigureReply(
                bound.Device.Number, directory.PathOf(bound.Device), bound.Binding.Store.Length, bound.Binding.IsReadOnly,
                bound.Reused, bound.Warnings);
        }
        catch (TransferException refused)
        {
            LogRefused(logger, caller.Peer.UserId, ControlCharacters.Escape(refused.Message));
            throw new ControlException(Kind(refused.Problem), refused.Errno, refused.Message);
        }
        catch (OverlapException refused)
        {
            throw new ControlException(ControlError.Overlapping, refused.Message);
        }
        catch (LinuxException refused) when (refused.Errno == Errno.EBUSY && IsOfAnotherUser(request.Device, caller))
        {
            // The table's own sentence names the other user's file.
            throw new ControlException(ControlError.Busy, $"loop{request.Device} is in use by another user");
        }
        catch (LinuxException refused)
        {
            LogRefused(logger, caller.Peer.UserId, ControlCharacters.Escape(refused.Message));
            throw Refusal(refused);
        }
        finally
        {
            keys.ForEach(key => key.Dispose());
        }
    }

    public ClearReply Clear(int device, ControlCaller caller)
    {
        LoopDevice bound = Owned(device, caller);
        SpinWait.SpinUntil(() => bound.Openers == 0, LastCloseTime);
        return Try(() => new ClearReply(bound.Clear()));
    }

    public SizeReply SetStatus(int device, StatusChange change, ControlCaller caller)
    {
        LoopDevice bound = Owned(device, caller);
        return Size(bound, () => bound.SetStatus(new BindingChange
        {
            Autoclear = change.Autoclear,
            Partscan = change.Partscan,
            OffsetBytes = change.Offset,
            SizeLimitBytes = change.SizeLimit,
            Reference = change.Reference,
        }));
    }

    public void ChangeBackingFile(int device, FileDescriptor backingFile, ControlCaller caller)
    {
        LoopDevice bound = Owned(device, caller);
        CheckBackingFile(backingFile);
        Try(() => bound.ChangeBackingFile(backingFile));
    }

    public SizeReply SetCapacity(int device, ControlCaller caller)
    {
        LoopDevice bound = Owned(device, caller);
        return Size(bound, bound.SetCapacity);
    }

    public void SetDirectIo(int device, bool enable, ControlCaller caller)
    {
        LoopDevice bound = Owned(device, caller);
        Try(() => bound.SetDirectIo(enable));
    }

    public SizeReply SetSectorSize(int device, int sectorSize, ControlCaller caller)
    {
        LoopDevice bound = Owned(device, caller);
        return Size(bound, () => bound.SetSectorSize(sectorSize));
    }

    public SizeReply Rescan(int device, ControlCaller caller)
    {
        LoopDevice bound = Owned(device, caller);
        return Size(bound, bound.Rescan);
    }

    public GetFreeReply Add(int? device, ControlCaller caller) => Free(Try(() => table.Add(device)));

    public void Remove(int device, ControlCaller caller) => Try(() => table.Remove(device));

    public IEnumerable<DeviceEvent> Monitor(ControlCaller caller, CancellationToken ended) =>
        events.Listen(binding => MayControl(binding, caller), ended);

    public void Shutdown(ShutdownMode mode, ControlCaller caller)
    {
        if (!caller.IsRoot && caller.Peer.UserId != Credentials.UserId)
            throw new ControlException(ControlError.PermissionDenied, "only root and the daemon's own user may end it");
        if (mode == ShutdownMode.Refuse && new Holders(table, directory).Describe() is { Count: > 0 } holders)
            throw new ControlException(ControlError.Busy, $"still open: {string.Join(", ", holders)}");
        LogShutdown(logger, caller.Peer.ProcessId, caller.Peer.UserId, mode);
        end.Ask(mode == ShutdownMode.Force ? EndKind.Abandon : EndKind.Finish);
    }

    public DaemonStatus GetDaemon(ControlCaller caller) =>
        new(directory.Path, table.MaxLoop, DeviceTable.Limit, Environment.ProcessId);

    public IReadOnlyList<DeviceStatus> List(ControlCaller caller) =>
        [.. table.Devices
            .Select(device => (Device: device, device.Binding))
            .Where(bound => bound.Binding is not null && MayControl(bound.Binding, caller))
            .Select(bound => Status(bound.Device, bound.Binding!))];

    public DeviceStatus GetStatus(int device, ControlCaller caller)
    {
        LoopDevice bound = Owned(device, caller);
        return Status(bound, bound.Binding ?? throw NotBound(bound));
    }

    public GetFreeReply GetFree(ControlCaller caller) => Free(Try(table.GetFree));

    public IReadOnlyList<TransferDescription> ListTransfers(ControlCaller caller) =>
        [.. registry.List().Select(transfer => new TransferDescription(
            transfer.Name, transfer.Summary, transfer.KeyRule == KeyRule.Required, transfer.Number))];

    private static Passthrough Choice(PassthroughChoice choice) => choice switch
    {
        PassthroughChoice.Auto => Passthrough.Auto,
        PassthroughChoice.On => Passthrough.On,
        _ => Passthrough.Off,
    };

    /// <summary>A file may only be given to a group that its owner could give it to by chgrp(1).</summary>
    private static void CheckAccess(ConfigureRequest request, ControlCaller caller)
    {
        if (request.Group is { } group && !caller.IsRoot && !caller.Peer.IsIn(group))
            throw new ControlException(ControlError.PermissionDenied, $"user {caller.Peer.UserId} is not in group {group}");
        if (request.Mode is { } mode && (mode & ~PermissionBits) != 0)
        {
            throw new ControlException(ControlError.InvalidArgument,
                $"a device's mode has read and write permissions only, such as 0660, not 0{Convert.ToString(mode, 8)}");
        }
    }

    /// <exception cref="ControlException">EBADF: it is a device of this daemon, whose reads and writes would wait for the
    /// reader threads that they keep busy. EINVAL: no device can be made from it.</exception>
    private void CheckBackingFile(FileDescriptor backing)
    {
        if (backing.GetStatus(out FileStatus status) == Errno.None
            && (status.DeviceMajor, status.DeviceMinor) == directory.FileSystem)
        {
            throw new ControlException(ControlError.BadBackingFile, Errno.EBADF,
                $"{backing.DescribePath()} is a device of this daemon: to stack transfers, name several with -e instead");
        }
        try
        {
            FileStore.LengthOf(backing);
        }
        catch (LinuxException refused)
        {
            throw new ControlException(ControlError.BadBackingFile, refused.Errno, refused.Message);
        }
    }

    private static TransferSpec Specify(TransferRequest transfer, List<SecretKey> keys)
    {
        SecretKey? key = null;
        if (transfer.Key is not null)
        {
            byte[] bytes = KeyDescriptor.Read(transfer.Key, SecretKey.MaxBytes, KeyTime);
            key = new SecretKey(bytes);
            Array.Clear(bytes);
            keys.Add(key);
        }
        return new TransferSpec(transfer.Name, transfer.Options, key);
    }

    private LoopDevice Owned(int number, ControlCaller caller)
    {
        LoopDevice device = Try(() => table.Get(number));
        Binding binding = device.Binding ?? throw NotBound(device);
        return MayControl(binding, caller) ? device
            : throw new ControlException(ControlError.PermissionDenied, $"{device.Name} belongs to another user");
    }

    private static ControlException NotBound(LoopDevice device) =>
        new(ControlError.NotBound, $"{device.Name} is not bound to a file");

    private bool IsOfAnotherUser(int? device, ControlCaller caller) =>
        device is { } number && table.Find(number)?.Binding is { } binding && !MayControl(binding, caller);

    private static bool MayControl(Binding binding, ControlCaller caller) =>
        caller.IsRoot || caller.Peer.UserId == Credentials.UserId || caller.Peer.UserId == binding.OwnerUid;

    private GetFreeReply Free(LoopDevice device) => new(device.Number, directory.PathOf(device));

    /// <summary>Makes a change that may warn, and tells what the device is like after it.</summary>
    private SizeReply Size(LoopDevice device, Func<IReadOnlyList<string>> change)
    {
        IReadOnlyList<string> warnings = Try(change);
        Binding? binding = device.Binding;
        return new SizeReply(binding?.Store.Length ?? 0, binding is null ? [] : Partitions(device, binding), warnings);
    }

    private static void Try(Action act) => Try(() =>
    {
        act();
        return true;
    });

    private static T Try<T>(Func<T> act)
    {
        try
        {
            return act();
        }
        catch (LinuxException refused)
        {
            throw Refusal(refused);
        }
    }

    private DeviceStatus Status(LoopDevice device, Binding binding)
    {
        BindingStatus status = binding.Status;
        DeviceStatistics statistics = device.Statistics;
        return new DeviceStatus
        {
            Device = device.Number,
            Path = directory.PathOf(device),
            BackingFile = status.BackingPath,
            BackingDevice = new DeviceNumber(status.Backing.DeviceMajor, status.Backing.DeviceMinor),
            BackingInode = status.Backing.Inode,
            Offset = status.OffsetBytes,
            SizeLimit = status.SizeLimitBytes,
            Size = binding.Store.Length,
            ReadOnly = binding.IsReadOnly,
            Autoclear = device.IsAutoclear,
            DirectIo = binding.UsesDirectIo,
            Passthrough = new PassthroughStatus(binding.IsPassedThrough, binding.BytesPastEnd(), passthrough.ObstacleOf(binding)),
            SectorSize = status.SectorBytes,
            Partscan = status.Partscan,
            Partitions = Partitions(device, binding),
            Reference = status.Reference,
            Transfers = binding.TransferNames,
            AllowDiscards = binding.AllowsDiscards,
            SectorsFromOffset = binding.SectorsFromOffset,
            Owner = binding.OwnerUid,
            Group = binding.OwnerGid,
            Mode = (int)binding.Permissions,
            BoundAt = binding.BoundAtNs / 1_000_000,
            Openers = device.Openers,
            Traffic = new TrafficStatus(
                statistics.Reads, statistics.Writes, statistics.BytesRead, statistics.BytesWritten, statistics.Errors),
        };
    }

    private PartitionStatus[] Partitions(LoopDevice device, Binding binding) =>
        [.. binding.Partitions.Select(partition => new PartitionStatus(
            partition.Number, directory.PathOf(device, partition.Number), partition.OffsetBytes, partition.LengthBytes, partition.Openers))];

    private static ControlException Refusal(LinuxException refused) => new(Kind(refused.Errno), refused.Errno, refused.Message);

    private static ControlError Kind(TransferProblem problem) => problem switch
    {
        TransferProblem.UnknownTransfer => ControlError.UnknownTransfer,
        TransferProblem.BadKey => ControlError.BadKey,
        _ => ControlError.InvalidArgument,
    };

    private static ControlError Kind(Errno errno) => errno switch
    {
        Errno.ENODEV => ControlError.NoSuchDevice,
        Errno.EEXIST => ControlError.DeviceExists,
        Errno.ENXIO => ControlError.NotBound,
        Errno.EBUSY => ControlError.Busy,
        Errno.EAGAIN => ControlError.Open,
        Errno.ENOSPC => ControlError.NoFreeDevice,
        Errno.EINVAL or Errno.EOVERFLOW => ControlError.InvalidArgument,
        Errno.EPERM or Errno.EACCES => ControlError.PermissionDenied,
        _ => ControlError.Failed,
    };

    [LoggerMessage(LogLevel.Information, "process {ProcessId} of user {Uid} ends this daemon ({Mode})")]
    private static partial void LogShutdown(ILogger logger, uint processId, uint uid, ShutdownMode mode);

    [LoggerMessage(LogLevel.Information, "bind for user {Uid} refused: {Reason}")]
    private static partial void LogRefused(ILogger logger, uint uid, string reason);
}
