using System.Runtime.InteropServices;
using LoopDaemon.Control;
using LoopDaemon.Devices;
using LoopDaemon.Fuse;
using LoopDaemon.Linux;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace LoopDaemon.Daemon;

/// <summary>The daemon's life: fence, mount, reader threads, control socket; and all of it back in reverse. It starts ahead of
/// the host, which finds it started: whoever starts a daemon waits for its devices and its socket.</summary>
internal sealed partial class LoopService(
    LoopdOptions options, DeviceTable table, DeviceFileSystem fileSystem, KernelPassthrough passthrough, DeviceDirectory directory,
    IControlService control, EndRequest end, ILogger<LoopService> logger) : IHostedService, IDisposable
{
    private static readonly TimeSpan InitTime = TimeSpan.FromSeconds(10);

    private Task? _start;
    private ExclusiveLock? _lock;
    private MountPoint? _mountPoint;
    private FuseMount? _mount;
    private FuseServer? _server;
    private ControlServer? _controlServer;
    private volatile bool _stopping;
    private bool _disposed;
    private string _holders = "";

    /// <summary>0, or 1 after the mount was taken away from under the daemon.</summary>
    internal int ExitCode { get; private set; }

    /// <summary>How many clients are connected.</summary>
    internal int ControlConnections => _controlServer?.ConnectionCount ?? 0;

    public Task StartAsync(CancellationToken cancellationToken) => _start ??= Start(cancellationToken);

    private async Task Start(CancellationToken cancellationToken)
    {
        try
        {
            string socket = Path.GetFullPath(options.Control);
            MakeDirectory(Path.GetDirectoryName(socket)!);
            _lock = ExclusiveLock.Take(socket + ".lock", $"the control socket {socket}");
            if (options.Engine == Engine.Uring)
                RequireIoUring();
            _mountPoint = MountPoint.Prepare(options.Mount, logger);
            bool allowOther = Credentials.IsRoot || FuseMount.UsersMayAllowOther();
            _mount = FuseMount.Mount(_mountPoint.Path, new FuseMountOptions("loopd", allowOther));
            directory.Locate(_mountPoint.Path, _mount.Device);
            _server = Serve(_mount.Connection);
            _server.Start();
            FuseNegotiation negotiation = await _server.Initialization.WaitAsync(InitTime, cancellationToken);
            LogNegotiation(logger, negotiation.Minor, negotiation.Flags, negotiation.MaxWriteBytes);
            string? obstacle = passthrough.Begin(_mount.Connection, negotiation);
            if (obstacle is not null && options.Passthrough == Passthrough.On)
                throw LinuxException.WithMessage(Errno.EOPNOTSUPP, $"--passthrough=on cannot be: a device here {obstacle}");
            RaiseReadAhead(_mount.Device);

            table.Changed += OnChanged;
            table.Failed += failure => LogFailure(logger, failure.Device.Name, failure.Operation, failure.Length, failure.Offset, failure.Error.Name());
            _controlServer = ControlServer.Listen(socket, options.ControlMode, control, new ControlServerOptions
            {
                Version = typeof(LoopService).Assembly.GetName().Version!.ToString(3),
                Log = (message, exception) => LogControl(logger, exception, message),
            });
            _ = _server.Completion.ContinueWith(_ => OnUnmounted(), TaskScheduler.Default);
            LogReady(logger, table.MaxLoop, _mountPoint.Path, socket, options.Engine == Engine.Uring ? "uring" : "threads");
            if (obstacle is not null && options.Passthrough == Passthrough.Auto)
                LogNoPassthrough(logger, obstacle);
        }
        catch (Exception failure)
        {
            _stopping = true;
            if (_mount is not null)
                FuseMount.Unmount(_mount.MountPoint, detach: true);
            throw failure is TimeoutException
                ? LinuxException.WithMessage(Errno.ETIMEDOUT, $"the kernel does not answer the mount on {options.Mount}") : failure;
        }
    }

    /// <summary>Nothing that is open is taken away: a busy mount goes out of sight and is served until its last file is
    /// closed. A second signal ends the daemon at once.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        _stopping = true;
        _controlServer?.Dispose();
        if (_mount is not null && _server is not null && !_server.Completion.IsCompleted)
        {
            using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, EndAtOnce);
            using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, EndAtOnce);
            Errno error = FuseMount.Unmount(_mount.MountPoint, detach: false);
            if (error == Errno.EBUSY)
            {
                // Now, while the mount is still in sight to find them by.
                _holders = string.Join(", ", Holders());
                LogBusy(logger, _holders);
                error = FuseMount.Unmount(_mount.MountPoint, detach: true);
            }
            if (error == Errno.None)
                await _server.Completion.WaitAsync(CancellationToken.None);
            else
                LogTrouble(logger, $"cannot unmount {_mount.MountPoint}: {error.Describe()}");
        }
        LogEnded(logger);
    }

    /// <summary>Frees what is left, in the order that leaves nothing behind: the lock goes last.</summary>
    public void Dispose()
    {
        // The container knows this object under two names and disposes it by each.
        if (Interlocked.Exchange(ref _disposed, true))
            return;
        _controlServer?.Dispose();
        _server?.Dispose();
        _mount?.Dispose();
        _mountPoint?.Dispose();
        _lock?.Dispose();
    }

    /// <summary>The kernel reads ahead 128 KiB for a FUSE mount, whatever INIT says; only its /sys knows more.</summary>
    private void RaiseReadAhead((uint Major, uint Minor) device)
    {
        const int ReadAheadKib = 1024;
        string setting = $"/sys/class/bdi/{device.Major}:{device.Minor}/read_ahead_kb";
        try
        {
            File.WriteAllText(setting, $"{ReadAheadKib}");
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            // Only slower: a user's daemon may not, and a container's /sys is read-only.
            LogReadAhead(logger, setting, refused.Message);
        }
    }

    /// <exception cref="LinuxException">FUSE over io_uring cannot be had here.</exception>
    private static void RequireIoUring()
    {
        try
        {
            FuseServer.RequireIoUring();
        }
        catch (LinuxException refused)
        {
            throw LinuxException.WithMessage(refused.Errno, $"--engine uring: {refused.Message}; --engine threads works without");
        }
    }

    private static void MakeDirectory(string directory)
    {
        const UnixFileMode Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
            | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;
        try
        {
            Directory.CreateDirectory(directory, Mode);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw LinuxException.WithMessage(Errno.EACCES, $"cannot make the directory {directory}: {refused.Message}");
        }
    }

    private FuseServer Serve(FuseConnection connection) => options.Engine == Engine.Uring
        ? FuseServer.OverIoUring(connection, fileSystem, trouble => LogTrouble(logger, trouble))
        : new FuseServer(connection, fileSystem, options.Threads, trouble => LogTrouble(logger, trouble));

    private void OnChanged(DeviceChanged changed)
    {
        Log(changed);
        // Whoever asked for the change finds the old size no more when he has his answer. The last close, however, is told on
        // a reader thread in the middle of a RELEASE: the kernel might wait for that thread.
        if (changed.Change == DeviceChange.ClearedAtLastClose)
            ThreadPool.QueueUserWorkItem(TellKernel, changed, preferLocal: false);
        else
            TellKernel(changed);
    }

    private void Log(DeviceChanged changed)
    {
        if (changed.Binding is not { } binding)
            return;
        string device = changed.Device.Name, backingFile = ControlCharacters.Escape(binding.Status.BackingPath);
        switch (changed.Change)
        {
            case DeviceChange.Bound:
                LogBound(logger, device, backingFile, binding.Status.OffsetBytes, binding.Store.Length,
                    binding.TransferNames.Count == 0 ? "identity" : string.Join("+", binding.TransferNames),
                    binding.IsReadOnly ? "read-only" : "read-write", binding.OwnerUid);
                break;
            case DeviceChange.Cleared or DeviceChange.ClearedAtLastClose:
                DeviceStatistics statistics = changed.Device.Statistics;
                LogCleared(logger, device, backingFile, statistics.Reads, statistics.Writes, statistics.Errors);
                break;
            case DeviceChange.Resized:
                LogResized(logger, device, backingFile, binding.Store.Length);
                break;
            case DeviceChange.StatusChanged:
                LogStatusChanged(logger, device, backingFile);
                break;
            case DeviceChange.Scanned:
                LogScanned(logger, device, backingFile, binding.Partitions.Count);
                break;
        }
    }

    /// <summary>What the kernel remembers of sizes, owners, names and data is of another time now.</summary>
    private void TellKernel(DeviceChanged changed)
    {
        if (_mount is not { } mount || _stopping)
            return;
        LoopDevice device = changed.Device;
        Forget(device, mount.Connection.InvalidateNode(NodeNumbers.Of(device.Number)));
        foreach (DevicePartition partition in changed.FormerPartitions.Concat(device.Binding?.Partitions ?? []))
        {
            Forget(device, mount.Connection.InvalidateNode(NodeNumbers.Of(device.Number, partition.Number)));
            ForgetName(device, partition.Number, mount.Connection);
        }
        if (changed.Change == DeviceChange.Removed)
            ForgetName(device, 0, mount.Connection);
        // A kernel loop device on top asks its own kernel for the size, and that knows the old one until it has asked here.
        if (changed.Change == DeviceChange.Resized)
            _ = FileStatus.Of(directory.PathOf(device), out _, fresh: true);
    }

    private void ForgetName(LoopDevice device, int partition, FuseConnection connection)
    {
        Span<byte> name = stackalloc byte[DeviceFileName.MaxBytes];
        name = name[..DeviceFileName.Write(device.Number, partition, name)];
        Forget(device, connection.InvalidateEntry(FuseFileSystem.RootNode, name));
    }

    private void Forget(LoopDevice device, Errno error)
    {
        if (error is not (Errno.None or Errno.ENOTCONN or Errno.ENODEV))
            LogTrouble(logger, $"the kernel keeps what it remembers of {device.Name}: {error.Describe()}");
    }

    private void OnUnmounted()
    {
        if (_stopping)
            return;
        ExitCode = 1;
        LogTrouble(logger, $"{directory.Path} was unmounted from outside: ending");
        end.Ask();
    }

    private void EndAtOnce(PosixSignalContext context)
    {
        LogAbandoned(logger, _holders);
        Environment.Exit(1);
    }

    private IEnumerable<string> Holders()
    {
        IReadOnlyList<KernelLoop.Attached> loops = KernelLoop.List();
        IReadOnlyList<MountEntry> mounts = MountTable.Read();
        foreach (LoopDevice device in table.Devices.Where(device => device.Openers > 0))
        {
            string path = directory.PathOf(device);
            string? on = loops.FirstOrDefault(loop => loop.BackingFile.StartsWith(path, StringComparison.Ordinal)
                && Path.GetFileName(loop.BackingFile.Split(' ')[0]) == device.Name)?.Path;
            string? at = mounts.FirstOrDefault(mount => mount.Source == on)?.MountPoint;
            yield return on is null ? device.Name : at is null ? $"{device.Name} by {on}" : $"{device.Name} by {on} on {at}";
        }
    }

    [LoggerMessage(LogLevel.Information, "ready: {Devices} devices on {MountPoint}, control socket {Socket}, engine {Engine}")]
    private static partial void LogReady(ILogger logger, int devices, string mountPoint, string socket, string engine);

    [LoggerMessage(LogLevel.Debug, "FUSE 7.{Minor}, flags {Flags:x}, writes up to {MaxWriteBytes} bytes")]
    private static partial void LogNegotiation(ILogger logger, uint minor, ulong flags, uint maxWriteBytes);

    [LoggerMessage(LogLevel.Information, "no passthrough: a device here {Obstacle}")]
    private static partial void LogNoPassthrough(ILogger logger, string obstacle);

    [LoggerMessage(LogLevel.Debug, "the read-ahead stays as it is: cannot write {Setting}: {Reason}")]
    private static partial void LogReadAhead(ILogger logger, string setting, string reason);

    [LoggerMessage(LogLevel.Information, "{Device} bound to {BackingFile}, offset {Offset}, {Size} bytes, {Transfers}, {Access}, for user {Uid}")]
    private static partial void LogBound(ILogger logger, string device, string backingFile, long offset, long size, string transfers, string access, uint uid);

    [LoggerMessage(LogLevel.Information, "{Device} cleared from {BackingFile} after {Reads} reads, {Writes} writes, {Errors} errors")]
    private static partial void LogCleared(ILogger logger, string device, string backingFile, long reads, long writes, long errors);

    [LoggerMessage(LogLevel.Information, "{Device} on {BackingFile} has {Size} bytes now")]
    private static partial void LogResized(ILogger logger, string device, string backingFile, long size);

    [LoggerMessage(LogLevel.Information, "{Device} on {BackingFile} has another status")]
    private static partial void LogStatusChanged(ILogger logger, string device, string backingFile);

    [LoggerMessage(LogLevel.Information, "{Device} on {BackingFile} has {Count} partitions")]
    private static partial void LogScanned(ILogger logger, string device, string backingFile, int count);

    [LoggerMessage(LogLevel.Error, "{Device}: {Operation} of {Length} bytes at {Offset} failed: {Errno}")]
    private static partial void LogFailure(ILogger logger, string device, string operation, long length, long offset, string errno);

    [LoggerMessage(LogLevel.Warning, "{Message}")]
    private static partial void LogTrouble(ILogger logger, string message);

    [LoggerMessage(LogLevel.Warning, "control: {Message}")]
    private static partial void LogControl(ILogger logger, Exception? exception, string message);

    [LoggerMessage(LogLevel.Warning, "still open: {Holders}; serving until the last close, a second signal ends at once and loses what is not written")]
    private static partial void LogBusy(ILogger logger, string holders);

    [LoggerMessage(LogLevel.Error, "ended by a second signal while open: {Holders}")]
    private static partial void LogAbandoned(ILogger logger, string holders);

    [LoggerMessage(LogLevel.Information, "ended")]
    private static partial void LogEnded(ILogger logger);
}
