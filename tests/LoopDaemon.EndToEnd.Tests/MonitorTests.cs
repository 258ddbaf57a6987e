using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>The stream of events.</summary>
public sealed class MonitorTests(SharedLoopd shared) : IClassFixture<SharedLoopd>
{
    private readonly Loopd _loopd = shared.Fresh();

    [Fact]
    public void What_happens_to_a_device_is_told_in_order()
    {
        string image = _loopd.MakeFile("disk.img", 1 << 20);
        using ControlClient listening = _loopd.Connect(), client = _loopd.Connect();
        using IEnumerator<DeviceEvent> events = listening.Monitor().GetEnumerator();
        Assert.True(events.MoveNext());
        Assert.Equal(EventKind.Ready, events.Current.Kind);

        client.Configure(image, request => request with { Device = 9 });
        client.SetStatus(9, new StatusChange { Partscan = true });
        File.WriteAllBytes(image, new byte[2 << 20]);
        client.SetCapacity(9);
        client.SetCapacity(9);
        client.Clear(9);
        client.Remove(9);
        Assert.Equal(
            [
                (EventKind.Added, null, null), (EventKind.Bound, image, 1 << 20), (EventKind.Changed, image, 1 << 20),
                (EventKind.Scanned, image, 1 << 20), (EventKind.Resized, image, 2 << 20), (EventKind.Scanned, image, 2 << 20),
                (EventKind.Scanned, image, 2 << 20), (EventKind.Cleared, image, null), (EventKind.Removed, null, null),
            ],
            Next(events, 9).Select(happened => (happened.Kind, happened.BackingFile, happened.Size)));
    }

    [Fact]
    public void A_request_that_fails_is_told_with_its_errno_and_place()
    {
        string image = _loopd.MakeFile("disk.img", 1 << 20);
        string device = _loopd.Bind("--passthrough=off", image);
        using ControlClient listening = _loopd.Connect();
        using IEnumerator<DeviceEvent> events = listening.Monitor().GetEnumerator();
        Assert.True(events.MoveNext());
        // The end of the file is gone, and what the device still shows of it cannot be read.
        using (FileDescriptor file = FileDescriptor.Open(image, OpenFlags.ReadWrite))
            Assert.Equal(Errno.None, file.SetLength(4096));
        using (FileDescriptor file = FileDescriptor.Open(device, OpenFlags.ReadOnly | FileDescriptor.Direct))
            Assert.Equal(Errno.EIO, file.ReadAt(65536, new byte[4096], out _));
        DeviceEvent failed = Next(events, 1)[0];
        Assert.Equal((EventKind.Failed, 0, "read", 65536L, 4096L, "EIO"), (failed.Kind, failed.Device, failed.Operation, failed.Offset, failed.Length, failed.Errno));
        using ControlClient client = _loopd.Connect();
        Assert.Equal(1, client.GetStatus(0).Traffic.Errors);
    }

    [Fact]
    public void A_listener_that_does_not_listen_holds_nobody_up_and_is_told_what_it_lost()
    {
        string image = _loopd.MakeFile("disk.img", 4096);
        using ControlClient listening = _loopd.Connect(), client = _loopd.Connect();
        using IEnumerator<DeviceEvent> events = listening.Monitor().GetEnumerator();
        Assert.True(events.MoveNext());
        const int Rounds = 4000;
        client.Configure(image);
        for (int i = 0; i < Rounds; i++)
            client.SetDirectIo(0, enable: false);
        client.Clear(0);
        int told = 0;
        long lost = 0;
        while (lost == 0 && events.MoveNext())
        {
            told += events.Current.Kind == EventKind.Lost ? 0 : 1;
            lost += events.Current.Count ?? 0;
        }
        Assert.Equal(Rounds + 2, told + lost);
    }

    [Fact]
    public void Statistics_count_what_was_read_and_written()
    {
        string device = _loopd.Bind("--passthrough=off", _loopd.MakeFile("disk.img", 1 << 20));
        using (FileDescriptor file = FileDescriptor.Open(device, OpenFlags.ReadWrite | FileDescriptor.Direct))
        {
            Assert.Equal(Errno.None, file.WriteAt(0, new byte[8192]));
            Assert.Equal(Errno.None, file.WriteAt(65536, new byte[512]));
            Assert.Equal(Errno.None, file.ReadAt(0, new byte[4096], out _));
        }
        TrafficStatus traffic = _loopd.List()[0].Traffic;
        Assert.Equal(new TrafficStatus(1, 2, 4096, 8704, 0), traffic);
    }

    private static List<DeviceEvent> Next(IEnumerator<DeviceEvent> events, int count)
    {
        var list = new List<DeviceEvent>();
        while (list.Count < count && events.MoveNext())
            list.Add(events.Current);
        return list;
    }
}
