using System.Diagnostics;
using System.Text;
using LoopDaemon.Control.Varlink;
using LoopDaemon.Linux;

namespace LoopDaemon.Control.Tests;

/// <summary>Clients that die, stall or flood, beside one that behaves.</summary>
public sealed class HostileClientTests
{
    private const string GetFree = """{"method":"io.loopdaemon.Control.GetFree"}""";

    [Fact]
    public void A_half_sent_message_harms_nobody()
    {
        using var running = new RunningServer();
        using (RawClient client = running.ConnectRaw())
            client.Send(GetFree);
        RunningServer.Eventually(() => running.Server.ConnectionCount == 0 && !running.Log.IsEmpty);
        using ControlClient other = running.Connect();
        other.GetFree();
    }

    [Fact]
    public void A_client_that_dies_before_it_reads_harms_nobody()
    {
        using var running = new RunningServer();
        using var release = new ManualResetEventSlim();
        running.Service.OnClear = _ => release.Wait();
        using (RawClient client = running.ConnectRaw())
        {
            client.Send("""{"method":"io.loopdaemon.Control.Clear","parameters":{"device":1}}""" + "\0");
            RunningServer.Eventually(() => !running.Service.Callers.IsEmpty);
        }
        release.Set();
        RunningServer.Eventually(() => running.Server.ConnectionCount == 0);
        using ControlClient other = running.Connect();
        other.GetFree();
    }

    [Fact]
    public void A_client_that_stalls_in_a_message_is_ended_and_an_idle_one_is_not()
    {
        using var running = new RunningServer(options => options with { MessageTimeout = TimeSpan.FromMilliseconds(300) });
        using RawClient idle = running.ConnectRaw();
        idle.Call(GetFree);
        using RawClient stalling = running.ConnectRaw();
        var clock = Stopwatch.StartNew();
        stalling.Send(GetFree + "\0" + GetFree);
        Assert.NotNull(stalling.Receive());
        Assert.Null(stalling.Receive());
        Assert.InRange(clock.Elapsed, TimeSpan.FromMilliseconds(250), TimeSpan.FromSeconds(10));
        idle.Call(GetFree);
    }

    [Fact]
    public void A_client_that_trickles_a_message_is_ended_all_the_same()
    {
        using var running = new RunningServer(options => options with { MessageTimeout = TimeSpan.FromMilliseconds(300) });
        using RawClient client = running.ConnectRaw();
        var clock = Stopwatch.StartNew();
        Assert.ThrowsAny<Exception>(() =>
        {
            while (clock.Elapsed < TimeSpan.FromSeconds(10))
            {
                client.Send(" ");
                Thread.Sleep(10);
            }
        });
    }

    [Fact]
    public void A_client_that_never_reads_is_ended_and_holds_nobody_up()
    {
        using var running = new RunningServer(options => options with { SendTimeout = TimeSpan.FromMilliseconds(300) });
        running.Service.Devices = [.. Enumerable.Repeat(FakeService.Status, 1000)];
        using RawClient client = running.ConnectRaw();
        client.Send(string.Concat(Enumerable.Repeat("""{"method":"io.loopdaemon.Control.List"}""" + "\0", 20)));
        using ControlClient other = running.Connect();
        other.GetFree();
        RunningServer.Eventually(() => running.Server.ConnectionCount == 1);
        other.GetFree();
    }

    [Theory]
    [InlineData(VarlinkSocket.MaxMessageBytes, true)]
    [InlineData(VarlinkSocket.MaxMessageBytes + 1, false)]
    public void The_longest_message_is_taken_and_no_longer_one(int length, bool taken)
    {
        using var running = new RunningServer();
        using RawClient client = running.ConnectRaw();
        try
        {
            client.Send(GetFree.PadRight(length) + "\0");
        }
        catch (System.Net.Sockets.SocketException)
        {
            Assert.False(taken);
        }
        Assert.Equal(taken, client.Receive() is not null);
    }

    [Fact]
    public void A_message_without_end_is_cut_off_at_the_limit()
    {
        using var running = new RunningServer();
        using RawClient client = running.ConnectRaw();
        long sent = 0;
        byte[] chunk = new byte[65536];
        chunk.AsSpan().Fill((byte)' ');
        Assert.ThrowsAny<IOException>(() =>
        {
            try
            {
                for (; sent < 100L << 20; sent += chunk.Length)
                    client.Send(chunk);
            }
            catch (System.Net.Sockets.SocketException e)
            {
                throw new IOException("cut off", e);
            }
        });
        Assert.InRange(sent, 0, 8L << 20);
        using ControlClient other = running.Connect();
        other.GetFree();
    }

    [Fact]
    public void Fifty_clients_at_once_are_all_served()
    {
        using var running = new RunningServer();
        using var allThere = new Barrier(50);
        running.Service.OnClear = _ => Assert.True(allThere.SignalAndWait(TimeSpan.FromSeconds(20)));
        var threads = Enumerable.Range(0, 50).Select(i => new Thread(() =>
        {
            using ControlClient client = running.Connect();
            // Every one is inside the service at the same time.
            client.Clear(i);
        })).ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => thread.Join());
        Assert.Equal(50, running.Service.Callers.Count);
        Assert.Empty(running.Log);
    }

    [Theory]
    [InlineData(3, 100)]
    [InlineData(100, 3)]
    public void Connections_beyond_the_cap_are_closed_at_once(int all, int ofOneUser)
    {
        using var running = new RunningServer(options => options with { MaxConnections = all, MaxConnectionsPerUser = ofOneUser });
        List<RawClient> clients = [.. Enumerable.Range(0, 3).Select(_ => running.ConnectRaw())];
        clients.ForEach(client => client.Call(GetFree));
        using (RawClient refused = running.ConnectRaw())
            Assert.Null(refused.Receive());
        clients[0].Dispose();
        RunningServer.Eventually(() => running.Server.ConnectionCount == 2);
        using RawClient next = running.ConnectRaw();
        next.Call(GetFree);
        clients.ForEach(client => client.Dispose());
    }

    [Fact]
    public void More_descriptors_than_a_message_may_carry_end_the_connection()
    {
        using var running = new RunningServer();
        using var client = VarlinkSocket.Connect(running.Path, TimeSpan.FromSeconds(10));
        using FileDescriptor one = KeyDescriptor.Create("x"u8);
        FileDescriptor[] many = [.. Enumerable.Repeat(one, VarlinkSocket.MaxDescriptors + 1)];
        client.Send(Encoding.UTF8.GetBytes(GetFree + "\0"), many, TimeSpan.FromSeconds(10));
        Assert.True(IsEnded(client));
    }

    [Fact]
    public void Descriptors_trickled_into_one_message_end_the_connection()
    {
        using var running = new RunningServer();
        using var client = VarlinkSocket.Connect(running.Path, TimeSpan.FromSeconds(10));
        using FileDescriptor one = KeyDescriptor.Create("x"u8);
        Assert.ThrowsAny<IOException>(() =>
        {
            for (int i = 0; i < 10_000; i++)
                client.Send(" "u8, [one], TimeSpan.FromSeconds(10));
        });
    }

    private static bool IsEnded(VarlinkSocket client)
    {
        try
        {
            return client.Receive(TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(10)) is null;
        }
        catch (LinuxException e)
        {
            return e.Errno == Errno.ECONNRESET;
        }
    }
}
