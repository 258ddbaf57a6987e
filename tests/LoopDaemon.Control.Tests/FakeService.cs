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
        Transfers = ["xor", "aes"],
        Owner = 1000,
        Openers = 2,
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
        return new ConfigureReply(request.Device ?? 7, "/run/loopd/dev/loop7", 1 << 20, request.ReadOnly, ["careful"]);
    }

    public ClearReply Clear(int device, ControlCaller caller)
    {
        Callers.Enqueue(caller);
        OnClear(device);
        return new ClearReply(device % 2 == 1);
    }

    public IReadOnlyList<DeviceStatus> List(ControlCaller caller) => Devices;

    public DeviceStatus GetStatus(int device, ControlCaller caller) => device == Status.Device
        ? Status : throw new ControlException(ControlError.NotBound, $"loop{device} is not bound.");

    public GetFreeReply GetFree(ControlCaller caller) => new(9, "/run/loopd/dev/loop9");

    public IReadOnlyList<TransferDescription> ListTransfers(ControlCaller caller) =>
        [new("xor", "XOR with a key", true, 1), new("rot13", "a plug-in", false)];
}
