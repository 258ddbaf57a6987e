using System.Collections.Concurrent;
using LoopDaemon.Linux;

namespace LoopDaemon.Control.Tests;

/// <summary>A service that remembers what it was asked, and does what a test tells it to.</summary>
internal sealed class FakeService : IControlService
{
    internal static readonly DeviceStatus Status = new()
    {
        Device = 3,
        Path = "/run/loopd/dev/loop3",
        BackingFile = "/images/größe \"x\".img",
        BackingDevice = new DeviceNumber(254, 1),
        BackingInode = 12345678901,
        Offset = 1L << 40,
        SizeLimit = 512,
        Size = 512,
        ReadOnly = true,
        Autoclear = true,
        DirectIo = false,
        Partscan = true,
        Partitions = [new PartitionStatus(1, "/run/loopd/dev/loop3p1", 1 << 20, 512, 1)],
        Reference = "backup",
        Transfers = ["xor", "aes"],
        AllowDiscards = true,
        SectorsFromOffset = true,
        Owner = 1000,
        Group = 100,
        Mode = 0b110_110_000,
        BoundAt = 1_700_000_000_123,
        Openers = 2,
        Traffic = new TrafficStatus(1, 2, 512, 1024, 3),
    };

    internal ConcurrentQueue<ControlCaller> Callers { get; } = new();

    internal ConfigureRequest? Request { get; private set; }

    /// <summary>What Configure read through the descriptors: the backing file, then the keys.</summary>
    internal List<string> Contents { get; } = [];

    /// <summary>Runs in Clear, with the device's number.</summary>
    internal Action<int> OnClear { get; set; } = _ => { };

    /// <summary>What List answers.</summary>
    internal IReadOnlyList<DeviceStatus> Devices { get; set; } = [Status];

    public ConfigureReply Configure(ConfigureRequest request, ControlCaller caller)
    {
        Request = request;
        foreach (FileDescriptor? descriptor in request.Transfers.Select(transfer => transfer.Key).Prepend(request.BackingFile))
        {
            if (descriptor is not null)
                Contents.Add(System.Text.Encoding.UTF8.GetString(KeyDescriptor.Read(descriptor, 1000, TimeSpan.FromSeconds(5))));
        }
        return new ConfigureReply(request.Device ?? 7, "/run/loopd/dev/loop7", 1 << 20, request.ReadOnly, Reused: true, ["careful"]);
    }

    public ClearReply Clear(int device, ControlCaller caller)
    {
        Callers.Enqueue(caller);
        OnClear(device);
        return new ClearReply(device % 2 == 1);
    }

    /// <summary>What the other methods were called with, in order.</summary>
    internal List<object> Calls { get; } = [];

    /// <summary>What Monitor tells after Ready.</summary>
    internal BlockingCollection<DeviceEvent> Events { get; } = [];

    public SizeReply SetStatus(int device, StatusChange change, ControlCaller caller) => Sized((device, change));

    public void ChangeBackingFile(int device, FileDescriptor backingFile, ControlCaller caller) =>
        Calls.Add((device, System.Text.Encoding.UTF8.GetString(KeyDescriptor.Read(backingFile, 1000, TimeSpan.FromSeconds(5)))));

    public SizeReply SetCapacity(int device, ControlCaller caller) => Sized((nameof(SetCapacity), device));

    public void SetDirectIo(int device, bool enable, ControlCaller caller) => Calls.Add((device, enable));

    public SizeReply SetSectorSize(int device, int sectorSize, ControlCaller caller) => Sized((device, sectorSize));

    public SizeReply Rescan(int device, ControlCaller caller) => Sized((nameof(Rescan), device));

    public GetFreeReply Add(int? device, ControlCaller caller) => new(device ?? 9, "/run/loopd/dev/loop9");

    public void Remove(int device, ControlCaller caller) => Calls.Add((nameof(Remove), device));

    public void Shutdown(ShutdownMode mode, ControlCaller caller) => Calls.Add((nameof(Shutdown), mode));

    public IEnumerable<DeviceEvent> Monitor(ControlCaller caller, CancellationToken ended)
    {
        yield return new DeviceEvent { Kind = EventKind.Ready, Time = 1 };
        while (true)
        {
            DeviceEvent next;
            try
            {
                next = Events.Take(ended);
            }
            catch (OperationCanceledException)
            {
                Calls.Add(nameof(Monitor));
                yield break;
            }
            yield return next;
        }
    }

    public DaemonStatus GetDaemon(ControlCaller caller) => new("/run/loopd/dev", 8, 65536, 42);

    private SizeReply Sized(object call)
    {
        Calls.Add(call);
        return new SizeReply(4096, Status.Partitions, ["so so"]);
    }

    public IReadOnlyList<DeviceStatus> List(ControlCaller caller) => Devices;

    public DeviceStatus GetStatus(int device, ControlCaller caller) => device == Status.Device
        ? Status : throw new ControlException(ControlError.NotBound, $"loop{device} is not bound.");

    public GetFreeReply GetFree(ControlCaller caller) => new(9, "/run/loopd/dev/loop9");

    public IReadOnlyList<TransferDescription> ListTransfers(ControlCaller caller) =>
        [new("xor", "XOR with a key", true, 1), new("rot13", "a plug-in", false)];
}
