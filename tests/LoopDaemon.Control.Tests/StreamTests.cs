using System.Text.Json;
using LoopDaemon.Linux;

namespace LoopDaemon.Control.Tests;

/// <summary>Calls with several replies.</summary>
public sealed class StreamTests
{
    [Fact]
    public void Events_come_as_they_happen()
    {
        using var running = new RunningServer();
        using ControlClient client = running.Connect();
        using IEnumerator<DeviceEvent> events = client.Monitor().GetEnumerator();
        Assert.True(events.MoveNext());
        Assert.Equal(EventKind.Ready, events.Current.Kind);
        for (int i = 0; i < 3; i++)
        {
            var happened = new DeviceEvent { Kind = EventKind.Failed, Time = i, Device = i, Operation = "read", Errno = "EIO" };
            running.Service.Events.Add(happened, TestContext.Current.CancellationToken);
            Assert.True(events.MoveNext());
            Assert.Equal(happened, events.Current);
        }
    }

    [Fact]
    public void The_service_stops_when_the_client_goes()
    {
        using var running = new RunningServer();
        using (ControlClient client = running.Connect())
            Assert.Equal(EventKind.Ready, client.Monitor().First().Kind);
        Assert.True(SpinWait.SpinUntil(() => running.Service.Calls.Contains("Monitor"), TimeSpan.FromSeconds(10)));
    }

    [Fact]
    public void The_stream_ends_with_ECONNRESET_when_the_daemon_goes()
    {
        using var running = new RunningServer();
        using ControlClient client = running.Connect();
        using IEnumerator<DeviceEvent> events = client.Monitor().GetEnumerator();
        Assert.True(events.MoveNext());
        running.Server.Dispose();
        Assert.Equal(Errno.ECONNRESET, Assert.Throws<ControlException>(() => events.MoveNext()).Errno);
    }

    [Fact]
    public void A_connection_that_is_in_the_middle_of_a_stream_takes_no_other_call()
    {
        using var running = new RunningServer();
        using ControlClient client = running.Connect();
        Assert.Equal(EventKind.Ready, client.Monitor().First().Kind);
        Assert.Equal(Errno.ENOTCONN, Assert.Throws<ControlException>(() => client.GetDaemon()).Errno);
    }

    [Fact]
    public void Without_more_a_stream_is_refused_and_the_connection_goes_on()
    {
        using var running = new RunningServer();
        using RawClient client = running.ConnectRaw();
        JsonElement reply = client.Call("""{"method":"io.loopdaemon.Control.Monitor"}""");
        Assert.Equal("org.varlink.service.ExpectedMore", reply.GetProperty("error").GetString());
        Assert.Equal(42, client.Call("""{"method":"io.loopdaemon.Control.GetDaemon"}""").GetProperty("parameters").GetProperty("process").GetInt32());
    }

    [Fact]
    public void All_replies_but_the_last_say_that_they_continue()
    {
        using var running = new RunningServer();
        running.Service.Devices = [.. Enumerable.Repeat(FakeService.Status, 20)];
        using RawClient client = running.ConnectRaw();
        JsonElement first = client.Call("""{"method":"io.loopdaemon.Control.List","more":true}""");
        Assert.True(first.GetProperty("continues").GetBoolean());
        int parts = 1, devices = first.GetProperty("parameters").GetProperty("devices").GetArrayLength();
        JsonElement reply;
        do
        {
            reply = client.Receive()!.Value;
            parts++;
            devices += reply.GetProperty("parameters").GetProperty("devices").GetArrayLength();
        }
        while (reply.TryGetProperty("continues", out _));
        Assert.Equal((3, 20), (parts, devices));
    }

    [Fact]
    public void An_empty_list_is_one_reply()
    {
        using var running = new RunningServer();
        running.Service.Devices = [];
        using ControlClient client = running.Connect();
        Assert.Empty(client.List());
        Assert.Equal(3, client.GetStatus(3).Device);
    }
}
