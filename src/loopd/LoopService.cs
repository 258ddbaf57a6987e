using System.Diagnostics;
using System.Runtime.InteropServices;
using LoopDaemon.Control;
using LoopDaemon.Daemon.Survival;
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
    IControlService control, EndRequest end, InheritedDescriptors inherited, DescriptorStore? store, ILogger<LoopService> logger)
    : IHostedService, IDisposable
{
    /// <summary>Tells the service manager that another daemon is to go on (EX_TEMPFAIL of sysexits.h).</summary>
    private const int ParkedExitCode = 75;

    private static readonly TimeSpan InitTime = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LookTime = TimeSpan.FromSeconds(5);

    private Task? _start;
    private ExclusiveLock? _lock;
    private MountPoint? _mountPoint;
    private FuseMount? _mount;
    private FuseServer? _server;
    private ControlServer? _controlServer;
    private StateKeeper? _keeper;
    private OpenLedger? _ledger;
    private volatile bool _stopping;
    private bool _continues;
    private bool _parked;
    private bool _disposed;
    private string _holders = "";

    /// <summary>0, <see cref="ParkedExitCode"/>, or 1 after the mount was taken away from under the daemon.</summary>
    internal int ExitCode { get; private set; }

    /// <summary>How many clients are connected.</summary>
    internal int ControlConnections => _controlServer?.ConnectionCount ?? 0;

    /// <summary>Whether the daemon is to end, and serves no calls any more.</summary>
    internal bool IsEnding => end.Asked.IsCancellationRequested;

    /// <summary>How many reader threads have ended though the mount is there.</summary>
    internal int LostReaders => _server is { } server && options.Engine == Engine.Threads && !server.Completion.IsCompleted
        ? Math.Max(0, options.Threads - server.Threads.Running) : 0;

    /// <summary>Whether the reader threads are busy, or nothing waits for them.</summary>
    internal bool ServesWhatWaits => _server is not { } server || _mount is not { } mount
        || !mount.Connection.HasRequest || server.Threads is var (running, busy) && busy >= running;

    public Task StartAsync(CancellationToken cancellationToken) => _start ??= Start(cancellationToken);

    private async Task Start(CancellationToken cancellationToken)
    {
        try
        {
            string socket = Path.GetFullPath(options.Control);
            MakeDirectory(Path.GetDirectoryName(socket)!);
            _continues = store is not null && IsWhole(inherited);
            _lock = _continues
                ? ExclusiveLock.Await(socket + ".lock", holder => LogFence(logger, holder))
                : ExclusiveLock.Take(socket + ".lock", $"the control socket {socket}");
            table.Failed += failure => LogFailure(logger, failure.Device.Name, failure.Operation, failure.Length, failure.Offset, failure.Error.Name());
            if (options.Engine == Engine.Uring)
                RequireIoUring();
            FuseNegotiation negotiation = await (_continues ? GoOn() : Begin()).WaitAsync(InitTime, cancellationToken);
            LogNegotiation(logger, negotiation.Minor, negotiation.Flags, negotiation.MaxWriteBytes);
            passthrough.Begin(_mount!.Connection, negotiation);
            string? obstacle = passthrough.Obstacle;
            if (obstacle is not null && options.Passthrough == Passthrough.On)
                throw LinuxException.WithMessage(Errno.EOPNOTSUPP, $"--passthrough=on cannot be: a device here {obstacle}");
            RaiseReadAhead(_mount.Device);
            ServeControl(socket);
            _ = _server!.Completion.ContinueWith(_ => OnUnmounted(), TaskScheduler.Default);
            LogReady(logger, table.MaxLoop, _mountPoint!.Path, socket, options.Engine == Engine.Uring ? "uring" : "threads");
            if (obstacle is not null && options.Passthrough == Passthrough.Auto)
                LogNoPassthrough(logger, obstacle);
        }
        catch (Exception failure)
        {
            _stopping = true;
            if (_mount is not null && !_continues)
            {
                _keeper?.Forget();
                FuseMount.Unmount(_mount.MountPoint, detach: true);
            }
            throw failure is TimeoutException
                ? LinuxException.WithMessage(Errno.ETIMEDOUT, $"the kernel does not answer the mount on {options.Mount}") : failure;
        }
    }

    /// <summary>Whether the last daemon has left a mount to go on with, and all that it takes to.</summary>
    private static bool IsWhole(InheritedDescriptors inherited) =>
        inherited.Has(DescriptorStore.Connection) && inherited.Has(DescriptorStore.Slots)
        && inherited.Has(DescriptorStore.State) && inherited.Has(DescriptorStore.Opens);

    /// <summary>Mounts, and serves devices that are not bound yet.</summary>
    private Task<FuseNegotiation> Begin()
    {
        foreach (string left in inherited.Names.Where(name => name != DescriptorStore.ControlSocket))
            store?.Drop(left);
        return Mount(store is null ? null : new StateFile());
    }

    private Task<FuseNegotiation> Mount(StateFile? state)
    {
        _mountPoint = MountPoint.Prepare(options.Mount, logger);
        if (store is not null && state is not null)
            _keeper ??= new StateKeeper(store, state, table, logger);
        _ledger = new OpenLedger();
        _keeper?.Keep(DescriptorStore.Opens, _ledger.File);
        fileSystem.CountIn(_ledger, isSameMount: false);
        bool allowOther = Credentials.IsRoot || FuseMount.UsersMayAllowOther();
        _mount = FuseMount.Mount(_mountPoint.Path, new FuseMountOptions("loopd", allowOther));
        directory.Locate(_mountPoint.Path, _mount.Device);
        _server = Serve(_mount.Connection);
        // The connection last: a daemon that finds it finds all the rest.
        _keeper?.BeginMount(_mountPoint.Path, _mountPoint.IsOwned);
        if (_server.Slots is { } slots)
            _keeper?.Keep(DescriptorStore.Slots, slots);
        _keeper?.Keep(DescriptorStore.Connection, _mount.Connection.Device);
        table.Changed += OnChanged;
        fileSystem.Negotiated = _keeper is { } keeper ? keeper.Negotiated : null;
        _server.Start();
        return _server.Initialization;
    }

    /// <summary>Goes on where the last daemon was: its devices, its mount, and the requests that it left unanswered.</summary>
    private Task<FuseNegotiation> GoOn()
    {
        var clock = Stopwatch.StartNew();
        var state = new StateFile(inherited.Take(DescriptorStore.State)!);
        DaemonRecord last = StateKeeper.ReadDaemon(state);
        _keeper = new StateKeeper(store!, state, table, logger);
        _keeper.Restore(inherited);
        _ledger = new OpenLedger(inherited.Take(DescriptorStore.Opens)!);
        _mount = FuseMount.Adopt(inherited.Take(DescriptorStore.Connection)!, last.MountPoint);
        if (!_mount.Connection.IsAlive)
            return BeginAnew(state, _ledger);
        _mountPoint = MountPoint.Adopt(last.MountPoint, last.OwnsMountPoint, logger);
        directory.Locate(last.MountPoint, _mount.Device);
        _keeper.ResumeMount(last);
        fileSystem.CountIn(_ledger, isSameMount: true);
        table.Changed += OnChanged;
        fileSystem.Negotiated = _keeper.Negotiated;
        if (last.Negotiation is not null)
            passthrough.Begin(_mount.Connection, last.Negotiation);
        _server = FuseServer.Resume(_mount.Connection, fileSystem, options.Threads, inherited.Take(DescriptorStore.Slots)!, last.Negotiation,
            options.Resend, out RecoveredRequests recovered, trouble => LogTrouble(logger, trouble));
        // With more threads than the last daemon had there are more slots: the same file, only longer.
        // The last daemon was about to end, and served what was still open.
        if (MountTable.At(last.MountPoint) is not { Type: "fuse.loopd" })
        {
            LogOutOfSight(logger, last.MountPoint);
            end.Ask();
        }
        LogRecovered(logger, last.MountPoint, table.Devices.Count(device => device.Binding is not null),
            recovered.Answered, recovered.Dropped, clock.Elapsed.TotalMilliseconds);
        return _server.Initialization;
    }

    /// <summary>The mount has gone while no daemon was there, but its devices are still wanted.</summary>
    private Task<FuseNegotiation> BeginAnew(StateFile state, OpenLedger former)
    {
        LogMountGone(logger, _mount!.MountPoint);
        _continues = false;
        foreach (string name in (ReadOnlySpan<string>)[DescriptorStore.Connection, DescriptorStore.Slots, DescriptorStore.Opens])
            store!.Drop(name);
        _mount.Dispose();
        _mount = null;
        table.Changed += _keeper!.OnChanged;
        // Closed by force: that was the last close.
        foreach ((_, ulong node, _) in former.Open)
        {
            if (table.Find(NodeNumbers.DeviceOf(node)) is { Binding: not null, IsAutoclear: true } device)
                device.Clear();
        }
        table.Changed -= _keeper.OnChanged;
        former.Dispose();
        return Mount(state);
    }

    /// <summary>Takes the socket that the service manager listens on, or the last daemon did; or makes one, and has the next
    /// daemon find it: whoever calls in between waits, and is not refused.</summary>
    private void ServeControl(string socket)
    {
        var settings = new ControlServerOptions
        {
            Version = ProgramVersion.Text,
            Log = (message, exception) => LogControl(logger, exception, message),
        };
        using FileDescriptor? handed = inherited.Take(DescriptorStore.ControlSocket), kept = inherited.Take(DescriptorStore.Listener);
        if (handed is not null)
            _controlServer = ControlServer.Adopt(handed, null, control, settings);
        else if (kept is not null)
            _controlServer = ControlServer.Adopt(kept, socket, control, settings);
        else
            _controlServer = ControlServer.Listen(socket, options.ControlMode, control, settings);
        if (handed is null && kept is null && _keeper is not null)
        {
            using FileDescriptor listener = _controlServer.DuplicateListener();
            _keeper.Keep(DescriptorStore.Listener, listener);
        }
    }

    /// <summary>Nothing that is open is taken away: a busy mount goes out of sight and is served until its last file is
    /// closed. A second signal ends the daemon at once.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (end.Kind == EndKind.Park && _server is { Completion.IsCompleted: false } server)
        {
            await Park(server);
            return;
        }
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
                _holders = string.Join(", ", new Holders(table, directory).Describe());
                LogBusy(logger, _holders);
                error = FuseMount.Unmount(_mount.MountPoint, detach: true);
            }
            // EINVAL: it went out of sight with the daemon before this one.
            if (error is Errno.None or Errno.EINVAL && end.Kind == EndKind.Abandon && _holders.Length > 0)
                LogAbandoned(logger, _holders);
            else if (error is Errno.None or Errno.EINVAL)
                await _server.Completion.WaitAsync(CancellationToken.None);
            else
                LogTrouble(logger, $"cannot unmount {_mount.MountPoint}: {error.Describe()}");
        }
        _keeper?.Forget();
        LogEnded(logger);
    }

    /// <summary>Ends, and leaves everything where it is for the next daemon.</summary>
    private async Task Park(FuseServer server)
    {
        _controlServer?.Leave();
        await server.ParkAsync();
        _keeper!.NoteAll();
        _parked = true;
        ExitCode = ParkedExitCode;
        LogParked(logger, directory.Path);
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
        _ledger?.Dispose();
        _keeper?.Dispose();
        if (!_parked && !(_continues && _server is null))
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
        // First: what anybody learns of the change must be known to the next daemon.
        _keeper?.OnChanged(changed);
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

    /// <summary>What the kernel remembers of sizes, owners and data is of another time now.</summary>
    private void TellKernel(DeviceChanged changed)
    {
        if (_mount is not { } mount || _stopping)
            return;
        LoopDevice device = changed.Device;
        Forget(device, mount.Connection.InvalidateNode(NodeNumbers.Of(device.Number), WhatToForget(device)));
        foreach (DevicePartition partition in changed.FormerPartitions.Concat(device.Binding?.Partitions ?? []))
            Forget(device, mount.Connection.InvalidateNode(NodeNumbers.Of(device.Number, partition.Number), WhatToForget(device)));
        // A kernel loop device on top asks its own kernel for the size, and that knows the old one until it has asked here.
        if (changed.Change == DeviceChange.Resized)
            LookAt(directory.PathOf(device));
    }

    /// <summary>Of a device that is open only the attributes: its data is dropped with the size anyway, and to drop pages that are
    /// being read or written takes waiting for this daemon's own threads.</summary>
    private static long WhatToForget(LoopDevice device) => device.Openers > 0 ? -1 : 0;

    /// <summary>Has the kernel ask for a file's attributes. Another process does it: a thread of the daemon must not wait for the
    /// daemon. Killed in that moment, it would linger until its successor answers, which waits for it to end.</summary>
    private static void LookAt(string path)
    {
        try
        {
            using var stat = Process.Start(new ProcessStartInfo("stat", ["--cached=never", "-c", "%s", "--", path]) { RedirectStandardOutput = true, RedirectStandardError = true });
            stat!.WaitForExit(LookTime);
        }
        catch (System.ComponentModel.Win32Exception)
        {
            // Without coreutils the new size shows when the kernel next asks.
        }
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
        _keeper?.Forget();
        LogTrouble(logger, $"{directory.Path} was unmounted from outside: ending");
        end.Ask();
    }

    private void EndAtOnce(PosixSignalContext context)
    {
        LogAbandoned(logger, _holders);
        _keeper?.Forget();
        Environment.Exit(1);
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

    [LoggerMessage(LogLevel.Error, "ended while open: {Holders}")]
    private static partial void LogAbandoned(ILogger logger, string holders);

    [LoggerMessage(LogLevel.Warning, "waiting for the last threads of the loopd before this one{Holder}: what they still write must come first")]
    private static partial void LogFence(ILogger logger, string holder);

    [LoggerMessage(LogLevel.Information, "going on with {MountPoint}: {Devices} devices, {Answered} requests answered, {Dropped} were answered already, {Milliseconds:F1} ms")]
    private static partial void LogRecovered(ILogger logger, string mountPoint, int devices, int answered, int dropped, double milliseconds);

    [LoggerMessage(LogLevel.Warning, "{MountPoint} was unmounted while no loopd was there; mounting again")]
    private static partial void LogMountGone(ILogger logger, string mountPoint);

    [LoggerMessage(LogLevel.Warning, "{MountPoint} is out of sight, as the last loopd was about to end: serving what is still open to its last close")]
    private static partial void LogOutOfSight(ILogger logger, string mountPoint);

    /// <summary>Says what this process may not do to be safe when memory is short.</summary>
    internal void LogUnsparing(Errno flusher, Errno spared) => LogUnsparing(logger, flusher.Name(), spared.Name());

    [LoggerMessage(LogLevel.Information, "without CAP_SYS_RESOURCE this loopd is a little less safe when memory is short (PR_SET_IO_FLUSHER: {Flusher}, oom_score_adj: {Spared})")]
    private static partial void LogUnsparing(ILogger logger, string flusher, string spared);

    [LoggerMessage(LogLevel.Information, "parked: {MountPoint} waits for the next loopd")]
    private static partial void LogParked(ILogger logger, string mountPoint);

    [LoggerMessage(LogLevel.Information, "ended")]
    private static partial void LogEnded(ILogger logger);
}
