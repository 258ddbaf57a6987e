using LoopDaemon.Control;
using LoopDaemon.Devices;
using LoopDaemon.Linux;
using LoopDaemon.Transfers;
using Microsoft.Extensions.Logging;

namespace LoopDaemon.Daemon;

/// <summary>What the control socket's methods do. Root and the daemon's own user may do everything, anybody else sees and
/// clears what he bound.</summary>
internal sealed partial class ControlService(
    DeviceTable table, TransferRegistry registry, DeviceDirectory directory, ILogger<ControlService> logger) : IControlService
{
    /// <summary>The kernel tells of a file's last close just after close(2) has returned; whoever closes a device and then
    /// clears it should find it gone.</summary>
    private static readonly TimeSpan LastCloseTime = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan KeyTime = TimeSpan.FromSeconds(10);

    public ConfigureReply Configure(ConfigureRequest request, ControlCaller caller)
    {
        var keys = new List<SecretKey>();
        try
        {
            RefuseOwnMount(request.BackingFile);
            var transfers = request.Transfers.Select(transfer => Specify(transfer, keys)).ToList();
            LoopDevice device = table.Bind(request.Device, new BindRequest
            {
                BackingFile = request.BackingFile.Duplicate(),
                OffsetBytes = request.Offset,
                SizeLimitBytes = request.SizeLimit,
                IsReadOnly = request.ReadOnly,
                Autoclear = request.Autoclear,
                Transfers = transfers,
                AllowDiscards = request.AllowDiscards,
                SectorsFromOffset = request.SectorsFromOffset,
                OwnerUid = caller.Peer.UserId,
                OwnerGid = caller.Peer.GroupId,
            }, out Binding binding);
            return new ConfigureReply(device.Number, PathOf(device), binding.Store.Length, binding.IsReadOnly, Reused: false, binding.Warnings);
        }
        catch (TransferException refused)
        {
            LogRefused(logger, caller.Peer.UserId, ControlCharacters.Escape(refused.Message));
            throw new ControlException(Kind(refused.Problem), refused.Errno, refused.Message);
        }
        catch (LinuxException refused) when (refused.Errno == Errno.EBUSY && IsOfAnotherUser(request.Device, caller))
        {
            // The table's own sentence names the other user's file.
            throw new ControlException(ControlError.Busy, $"loop{request.Device} is in use by another user");
        }
        catch (LinuxException refused)
        {
            LogRefused(logger, caller.Peer.UserId, ControlCharacters.Escape(refused.Message));
            throw new ControlException(Kind(refused.Errno), refused.Errno, refused.Message);
        }
        finally
        {
            keys.ForEach(key => key.Dispose());
        }
    }

    public ClearReply Clear(int device, ControlCaller caller)
    {
        LoopDevice bound = Owned(device, caller, out _);
        SpinWait.SpinUntil(() => bound.Openers == 0, LastCloseTime);
        try
        {
            return new ClearReply(DeviceTable.Clear(bound));
        }
        catch (LinuxException refused)
        {
            throw new ControlException(Kind(refused.Errno), refused.Errno, refused.Message);
        }
    }

    public SizeReply SetStatus(int device, StatusChange change, ControlCaller caller) => throw new NotImplementedException();
    public void ChangeBackingFile(int device, FileDescriptor backingFile, ControlCaller caller) => throw new NotImplementedException();
    public SizeReply SetCapacity(int device, ControlCaller caller) => throw new NotImplementedException();
    public void SetDirectIo(int device, bool enable, ControlCaller caller) => throw new NotImplementedException();
    public SizeReply SetSectorSize(int device, int sectorSize, ControlCaller caller) => throw new NotImplementedException();
    public SizeReply Rescan(int device, ControlCaller caller) => throw new NotImplementedException();
    public GetFreeReply Add(int? device, ControlCaller caller) => throw new NotImplementedException();
    public void Remove(int device, ControlCaller caller) => throw new NotImplementedException();
    public IEnumerable<DeviceEvent> Monitor(ControlCaller caller, CancellationToken ended) => throw new NotImplementedException();
    public DaemonStatus GetDaemon(ControlCaller caller) => new(directory.Path, table.Devices.Count, table.Devices.Count, Environment.ProcessId);

    public IReadOnlyList<DeviceStatus> List(ControlCaller caller) =>
        [.. table.Devices
            .Select(device => (Device: device, device.Binding))
            .Where(bound => bound.Binding is not null && MayControl(bound.Binding, caller))
            .Select(bound => Status(bound.Device, bound.Binding!))];

    public DeviceStatus GetStatus(int device, ControlCaller caller) => Status(Owned(device, caller, out Binding binding), binding);

    public GetFreeReply GetFree(ControlCaller caller) =>
        table.FindFree() is { } free ? new GetFreeReply(free.Number, PathOf(free))
            : throw new ControlException(ControlError.NoFreeDevice,
                $"all {table.Devices.Count} devices are bound: clear one, or start loopd with a larger --max-loop");

    public IReadOnlyList<TransferDescription> ListTransfers(ControlCaller caller) =>
        [.. registry.List().Select(transfer => new TransferDescription(
            transfer.Name, transfer.Summary, transfer.KeyRule == KeyRule.Required, transfer.Number))];

    /// <summary>Reads and writes of such a device would wait for the reader threads that they keep busy.</summary>
    private void RefuseOwnMount(FileDescriptor backing)
    {
        if (backing.GetStatus(out FileStatus status) == Errno.None
            && (status.DeviceMajor, status.DeviceMinor) == directory.FileSystem)
        {
            throw new ControlException(ControlError.BadBackingFile, Errno.EBADF,
                $"{backing.DescribePath()} is a device of this daemon: to stack transfers, name several with -e instead");
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

    private LoopDevice Owned(int number, ControlCaller caller, out Binding binding)
    {
        LoopDevice device = table.Find(number) ?? throw new ControlException(ControlError.NoSuchDevice,
            $"there is no device loop{number}: the devices are loop0 to loop{table.Devices.Count - 1}");
        binding = device.Binding ?? throw new ControlException(ControlError.NotBound, $"{device.Name} is not bound to a file");
        return MayControl(binding, caller) ? device
            : throw new ControlException(ControlError.PermissionDenied, $"{device.Name} belongs to another user");
    }

    private bool IsOfAnotherUser(int? device, ControlCaller caller) =>
        device is { } number && table.Find(number)?.Binding is { } binding && !MayControl(binding, caller);

    private static bool MayControl(Binding binding, ControlCaller caller) =>
        caller.IsRoot || caller.Peer.UserId == Credentials.UserId || caller.Peer.UserId == binding.OwnerUid;

    private string PathOf(LoopDevice device) => directory.PathOf(device);

    private DeviceStatus Status(LoopDevice device, Binding binding) => new()
    {
        Device = device.Number,
        Path = PathOf(device),
        BackingFile = binding.BackingPath,
        BackingDevice = new DeviceNumber(binding.Backing.DeviceMajor, binding.Backing.DeviceMinor),
        BackingInode = binding.Backing.Inode,
        Offset = binding.OffsetBytes,
        SizeLimit = binding.SizeLimitBytes,
        Size = binding.Store.Length,
        ReadOnly = binding.IsReadOnly,
        Autoclear = device.IsAutoclear,
        DirectIo = false,
        Transfers = binding.TransferNames,
        Partscan = false,
        Partitions = [],
        Reference = "",
        AllowDiscards = false,
        SectorsFromOffset = false,
        Owner = binding.OwnerUid,
        Group = binding.OwnerGid,
        Mode = 0b110_000_000,
        BoundAt = binding.BoundAtNs / 1_000_000,
        Traffic = new TrafficStatus(0, 0, 0, 0, 0),
        Openers = device.Openers,
    };

    private static ControlError Kind(TransferProblem problem) => problem switch
    {
        TransferProblem.UnknownTransfer => ControlError.UnknownTransfer,
        TransferProblem.BadKey => ControlError.BadKey,
        _ => ControlError.InvalidArgument,
    };

    private static ControlError Kind(Errno errno) => errno switch
    {
        Errno.ENODEV => ControlError.NoSuchDevice,
        Errno.ENXIO => ControlError.NotBound,
        Errno.EBUSY => ControlError.Busy,
        Errno.ENOSPC => ControlError.NoFreeDevice,
        Errno.EINVAL or Errno.EBADF => ControlError.BadBackingFile,
        Errno.EPERM or Errno.EACCES => ControlError.PermissionDenied,
        _ => ControlError.Failed,
    };

    [LoggerMessage(LogLevel.Information, "bind for user {Uid} refused: {Reason}")]
    private static partial void LogRefused(ILogger logger, uint uid, string reason);
}
