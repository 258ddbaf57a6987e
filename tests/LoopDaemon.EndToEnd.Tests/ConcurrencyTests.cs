using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>Two hundred clients at once.</summary>
public sealed class ConcurrencyTests(SharedLoopd shared) : IClassFixture<SharedLoopd>
{
    private const int Clients = 200;
    private const string Configure = """{"method":"io.loopdaemon.Control.Configure","parameters":{"backingFile":0}}""";

    private readonly Loopd _loopd = shared.Fresh();

    [Fact]
    public void Each_client_that_asks_for_any_device_gets_one_of_its_own()
    {
        byte[][] contents = [.. Enumerable.Range(0, Clients).Select(i => File.ReadAllBytes(_loopd.MakeFile($"{i}.img", 4096, seed: i)))];
        for (int round = 0; round < 3; round++)
        {
            var devices = new ConcurrentDictionary<int, string>();
            AtOnce(i =>
            {
                using ControlClient client = _loopd.Connect();
                ConfigureReply bound = client.Configure(_loopd.File($"{i}.img"));
                Assert.True(devices.TryAdd(bound.Device, bound.Path), $"loop{bound.Device} was given twice");
                Assert.Equal(contents[i], File.ReadAllBytes(bound.Path));
            });
            Assert.Equal(Enumerable.Range(0, Clients), devices.Keys.Order());
            Assert.Equal(Clients, _loopd.List().Count);
            AtOnce(i =>
            {
                using ControlClient client = _loopd.Connect();
                client.Clear(i);
            });
            Assert.Empty(_loopd.List());
        }
    }

    [Fact]
    public void Clients_that_bind_and_clear_without_end_leave_nothing_behind()
    {
        string image = _loopd.MakeFile("disk.img", 4096);
        int before = _loopd.OpenDescriptors();
        AtOnce(i =>
        {
            using ControlClient client = _loopd.Connect();
            for (int round = 0; round < 20; round++)
            {
                ConfigureReply bound = client.Configure(image, request => request with { Reference = $"{i}" });
                Assert.Equal($"{i}", client.GetStatus(bound.Device).Reference);
                Assert.False(client.Clear(bound.Device).Deferred);
            }
        });
        Assert.Empty(_loopd.List());
        Loopd.WaitUntil(() => _loopd.OpenDescriptors() <= before, "every descriptor is closed");
    }

    [Fact]
    public void Of_clients_that_want_the_same_device_one_gets_it()
    {
        string image = _loopd.MakeFile("disk.img", 4096);
        int bound = 0, refused = 0;
        AtOnce(_ =>
        {
            using ControlClient client = _loopd.Connect();
            try
            {
                client.Configure(image, request => request with { Device = 100 });
                Interlocked.Increment(ref bound);
            }
            catch (ControlException busy) when (busy.Errno == Errno.EBUSY)
            {
                Interlocked.Increment(ref refused);
            }
        });
        Assert.Equal((1, Clients - 1), (bound, refused));
    }

    [Fact]
    public void Of_clients_that_want_no_overlap_all_share_one_device()
    {
        string image = _loopd.MakeFile("disk.img", 4096);
        int made = 0;
        AtOnce(_ =>
        {
            using ControlClient client = _loopd.Connect();
            if (!client.Configure(image, request => request with { NoOverlap = true }).Reused)
                Interlocked.Increment(ref made);
        });
        Assert.Equal(1, made);
        Assert.Single(_loopd.List());
    }

    [Fact]
    public void Clients_that_die_behind_their_descriptor_leave_a_table_that_is_whole()
    {
        string image = _loopd.MakeFile("disk.img", 4096);
        int before = _loopd.OpenDescriptors();
        AtOnce(i =>
        {
            using FileDescriptor file = FileDescriptor.Open(image, OpenFlags.ReadWrite);
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            socket.Connect(new UnixDomainSocketEndPoint(_loopd.Socket));
            // Some in the middle of the message, some behind it, none waits for the answer.
            byte[] message = Encoding.UTF8.GetBytes(Configure + "\0");
            ReadOnlySpan<byte> sent = message.AsSpan(0, i % 3 == 0 ? message.Length : i % message.Length + 1);
            DescriptorPassing.Send((int)socket.Handle, sent, [file], wait: true, out _);
        });
        using ControlClient client = _loopd.Connect();
        foreach (DeviceStatus device in Settled(client))
        {
            Assert.Equal(File.ReadAllBytes(image), File.ReadAllBytes(device.Path));
            client.Clear(device.Device);
        }
        Assert.Empty(client.List());
        Loopd.WaitUntil(() => _loopd.OpenDescriptors() <= before + 1, "every descriptor is closed");
    }

    /// <summary>Added, bound, cleared and removed at the same time, the directory listed meanwhile.</summary>
    [Fact]
    public void Devices_come_and_go_under_a_listing()
    {
        string image = _loopd.MakeFile("disk.img", 4096);
        AtOnce(i =>
        {
            using ControlClient client = _loopd.Connect();
            for (int round = 0; round < 5; round++)
            {
                if (i % 10 == 0)
                {
                    string[] names = [.. Directory.GetFiles(_loopd.Mount).Select(path => Path.GetFileName(path))];
                    Assert.Equal(names.Length, names.Distinct().Count());
                    Assert.Superset(Enumerable.Range(0, 8).Select(number => $"loop{number}").ToHashSet(), names.ToHashSet());
                    continue;
                }
                int number = 1000 + i;
                client.Configure(image, request => request with { Device = number });
                Assert.True(File.Exists(_loopd.Device(number)));
                client.Clear(number);
                client.Remove(number);
                Assert.False(File.Exists(_loopd.Device(number)));
            }
        });
        Assert.Equal(8, Directory.GetFiles(_loopd.Mount).Length);
    }

    /// <summary>The devices, once the daemon is through with what dead clients have asked for.</summary>
    private static IReadOnlyList<DeviceStatus> Settled(ControlClient client)
    {
        IReadOnlyList<DeviceStatus> devices = client.List();
        int same = 0;
        while (same < 10)
        {
            Thread.Sleep(50);
            IReadOnlyList<DeviceStatus> now = client.List();
            same = now.Count == devices.Count ? same + 1 : 0;
            devices = now;
        }
        return devices;
    }

    private static void AtOnce(Action<int> action)
    {
        var failures = new ConcurrentQueue<Exception>();
        using var start = new Barrier(Clients);
        Thread[] threads = [.. Enumerable.Range(0, Clients).Select(i => new Thread(() =>
        {
            start.SignalAndWait();
            try
            {
                action(i);
            }
            catch (Exception failure)
            {
                failures.Enqueue(failure);
            }
        }, maxStackSize: 1 << 18))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        Assert.Empty(failures);
    }
}
