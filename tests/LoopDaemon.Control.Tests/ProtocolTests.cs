using System.Text;
using System.Text.Json;
using LoopDaemon.Control.Varlink;
using LoopDaemon.Linux;

namespace LoopDaemon.Control.Tests;

/// <summary>Calls as the wire carries them.</summary>
public sealed class ProtocolTests
{
    private const string GetFree = """{"method":"io.loopdaemon.Control.GetFree"}""";

    [Theory]
    [InlineData("""{"method":"org.example.Foo"}""", "InterfaceNotFound", "interface", "org.example")]
    [InlineData("""{"method":"Foo"}""", "InterfaceNotFound", "interface", "")]
    [InlineData("""{"method":"io.loopdaemon.Control.Foo"}""", "MethodNotFound", "method", "io.loopdaemon.Control.Foo")]
    [InlineData("""{"method":"io.loopdaemon.Control.GetFree","upgrade":true}""", "MethodNotImplemented", "method", "io.loopdaemon.Control.GetFree")]
    [InlineData("""{"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"a.b"}}""", "InterfaceNotFound", "interface", "a.b")]
    [InlineData("""{"method":"org.varlink.service.GetInterfaceDescription"}""", "InvalidParameter", "parameter", "interface")]
    [InlineData("""{"method":"io.loopdaemon.Control.GetFree","parameters":{"x":1}}""", "InvalidParameter", "parameter", "x")]
    [InlineData("""{"method":"io.loopdaemon.Control.Clear","parameters":{}}""", "InvalidParameter", "parameter", "device")]
    [InlineData("""{"method":"io.loopdaemon.Control.Clear","parameters":{"device":null}}""", "InvalidParameter", "parameter", "device")]
    [InlineData("""{"method":"io.loopdaemon.Control.Clear","parameters":{"device":"0"}}""", "InvalidParameter", "parameter", "device")]
    [InlineData("""{"method":"io.loopdaemon.Control.Clear","parameters":{"device":-1}}""", "InvalidParameter", "parameter", "device")]
    [InlineData("""{"method":"io.loopdaemon.Control.Clear","parameters":{"device":1e99}}""", "InvalidParameter", "parameter", "device")]
    [InlineData("""{"method":"io.loopdaemon.Control.Shutdown","parameters":{"mode":"now"}}""", "InvalidParameter", "parameter", "mode")]
    [InlineData("""{"method":"io.loopdaemon.Control.Configure","parameters":{"backingFile":0}}""", "InvalidParameter", "parameter", "backingFile")]
    [InlineData("""{"method":"io.loopdaemon.Control.Configure","parameters":{}}""", "InvalidParameter", "parameter", "backingFile")]
    public void A_call_that_Varlink_has_an_error_for_gets_it(string call, string error, string parameter, string value)
    {
        using var running = new RunningServer();
        using RawClient client = running.ConnectRaw();
        AssertError(client.Call(call), error, parameter, value);
        // The connection goes on.
        Assert.Equal(9, client.Call(GetFree).GetProperty("parameters").GetProperty("device").GetInt32());
    }

    [Theory]
    [InlineData("\"backingFile\":1", "backingFile")]
    [InlineData("\"backingFile\":-1", "backingFile")]
    [InlineData("\"backingFile\":0,\"offset\":-1", "offset")]
    [InlineData("\"backingFile\":0,\"offset\":18446744073709551616", "offset")]
    [InlineData("\"backingFile\":0,\"offset\":1.5", "offset")]
    [InlineData("\"backingFile\":0,\"group\":4294967295", "group")]
    [InlineData("\"backingFile\":0,\"flags\":64", "flags")]
    [InlineData("\"backingFile\":0,\"readOnly\":1", "readOnly")]
    [InlineData("\"backingFile\":0,\"sectorsFrom\":\"end\"", "sectorsFrom")]
    [InlineData("\"backingFile\":0,\"sectorsFrom\":\"\\udc00\"", "sectorsFrom")]
    [InlineData("\"backingFile\":0,\"transfers\":{}", "transfers")]
    [InlineData("\"backingFile\":0,\"transfers\":[1]", "transfers[0]")]
    [InlineData("\"backingFile\":0,\"transfers\":[{\"name\":\"a\"},{}]", "transfers[1].name")]
    [InlineData("\"backingFile\":0,\"transfers\":[{\"name\":\"a\",\"key\":1}]", "transfers[0].key")]
    [InlineData("\"backingFile\":0,\"transfers\":[{\"name\":\"a\",\"options\":{\"b\":1}}]", "transfers[0].options.b")]
    [InlineData("\"backingFile\":0,\"transfers\":[{\"name\":\"a\",\"kye\":0}]", "transfers[0].kye")]
    public void A_bad_parameter_beside_a_descriptor_is_named(string parameters, string name)
    {
        using var running = new RunningServer();
        using VarlinkSocket client = VarlinkSocket.Connect(running.Path, TimeSpan.FromSeconds(10));
        using FileDescriptor backing = KeyDescriptor.Create("b"u8);
        client.Send(Encoding.UTF8.GetBytes($$$"""{"method":"io.loopdaemon.Control.Configure","parameters":{ {{{parameters}}} }}""" + "\0"), [backing], TimeSpan.FromSeconds(10));
        using VarlinkMessage reply = client.Receive(TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(10))!;
        AssertError(JsonElement.Parse(reply.Json.Span), "InvalidParameter", "parameter", name);
        Assert.Null(running.Service.Request);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("1")]
    [InlineData("{}")]
    [InlineData("{\"method\":1}")]
    [InlineData("{\"method\":\"\\ud800\"}")]
    [InlineData("{\"method\":\"a.b\",\"method\":\"a.c\"}")]
    [InlineData("{\"method\":\"a.b\",\"parameters\":[]}")]
    [InlineData("{\"method\":\"a.b\",\"parameters\":{\"\\ud800\":1}}")]
    [InlineData("{\"method\":\"io.loopdaemon.Control.Configure\",\"parameters\":{\"transfers\":[{\"options\":{\"\\ud800\":\"\"}}]}}")]
    [InlineData("{\"method\":\"a.b\",\"oneway\":1}")]
    [InlineData("GET / HTTP/1.1\r\n\r\n")]
    public void What_is_no_call_ends_the_connection_and_harms_nobody(string text)
    {
        using var running = new RunningServer();
        using RawClient other = running.ConnectRaw();
        using RawClient client = running.ConnectRaw();
        client.Send(text + "\0");
        Assert.Null(client.Receive());
        other.Call(GetFree);
        Assert.Single(running.Log);
    }

    [Fact]
    public void Text_that_is_no_UTF8_ends_the_connection()
    {
        using var running = new RunningServer();
        using RawClient client = running.ConnectRaw();
        client.Send([.. "{\"method\":\"a.b"u8, 0xff, .. "\"}\0"u8]);
        Assert.Null(client.Receive());
    }

    [Fact]
    public void Deep_nesting_ends_the_connection()
    {
        using var running = new RunningServer();
        using RawClient client = running.ConnectRaw();
        client.Send("{\"method\":\"a.b\",\"parameters\":{\"x\":" + new string('[', 100_000) + "\0");
        Assert.Null(client.Receive());
    }

    [Fact]
    public void A_one_way_call_is_made_and_gets_no_reply_even_if_it_fails()
    {
        using var running = new RunningServer();
        using RawClient client = running.ConnectRaw();
        client.Send("""{"method":"io.loopdaemon.Control.Clear","parameters":{"device":1},"oneway":true}""" + "\0");
        client.Send("""{"method":"io.loopdaemon.Control.Nothing","oneway":true}""" + "\0");
        Assert.Equal(9, client.Call(GetFree).GetProperty("parameters").GetProperty("device").GetInt32());
        Assert.Single(running.Service.Callers);
    }

    [Fact]
    public void A_call_for_more_gets_one_final_reply()
    {
        using var running = new RunningServer();
        using RawClient client = running.ConnectRaw();
        JsonElement reply = client.Call("""{"method":"io.loopdaemon.Control.List","more":true,"parameters":null}""");
        Assert.False(reply.TryGetProperty("continues", out _));
        Assert.Equal(3, reply.GetProperty("parameters").GetProperty("devices")[0].GetProperty("device").GetInt32());
    }

    [Fact]
    public void An_error_carries_errno_and_message()
    {
        using var running = new RunningServer();
        using RawClient client = running.ConnectRaw();
        JsonElement reply = client.Call("""{"method":"io.loopdaemon.Control.GetStatus","parameters":{"device":1}}""");
        Assert.Equal(
            """{"error":"io.loopdaemon.Control.NotBound","parameters":{"errno":"ENXIO","message":"loop1 is not bound."}}""",
            reply.GetRawText());
    }

    [Fact]
    public void Pipelined_calls_are_answered_in_order()
    {
        using var running = new RunningServer();
        using RawClient client = running.ConnectRaw();
        client.Send(string.Concat(Enumerable.Range(0, 500).Select(
            i => $$$"""{"method":"io.loopdaemon.Control.Clear","parameters":{"device":{{{i}}}}}""" + "\0")));
        for (int i = 0; i < 500; i++)
            Assert.Equal(i % 2 == 1, client.Receive()!.Value.GetProperty("parameters").GetProperty("deferred").GetBoolean());
    }

    [Fact]
    public void A_message_may_come_in_pieces_of_one_byte()
    {
        using var running = new RunningServer();
        using RawClient client = running.ConnectRaw();
        foreach (byte b in Encoding.UTF8.GetBytes(GetFree + "\0" + GetFree + "\0"))
            client.Send([b]);
        Assert.NotNull(client.Receive());
        Assert.NotNull(client.Receive());
    }

    [Fact]
    public void The_caller_is_who_the_kernel_says()
    {
        using var running = new RunningServer();
        using ControlClient first = running.Connect();
        using ControlClient second = running.Connect();
        first.Clear(0);
        second.Clear(0);
        Assert.All(running.Service.Callers, caller => Assert.Equal(
            new PeerCredentials((uint)Environment.ProcessId, Credentials.UserId, Credentials.GroupId), caller.Peer));
        Assert.Equal([1, 2], running.Service.Callers.Select(caller => caller.Connection));
        Assert.All(running.Service.Callers, caller => Assert.Equal(Credentials.IsRoot, caller.IsRoot));
    }

    [Fact]
    public void An_answer_longer_than_a_message_is_an_error()
    {
        using var running = new RunningServer();
        using ControlClient client = running.Connect();
        using RawClient raw = running.ConnectRaw();
        running.Service.Devices = [.. Enumerable.Repeat(FakeService.Status, 5000)];
        JsonElement reply = raw.Call("""{"method":"io.loopdaemon.Control.List"}""");
        Assert.Equal("EMSGSIZE", reply.GetProperty("parameters").GetProperty("errno").GetString());
        // In parts there may be any number.
        Assert.Equal(5000, client.List().Count);
        Assert.Equal(3, client.GetStatus(3).Device);
    }

    [Theory]
    [InlineData("offset")]
    [InlineData("sizeLimit")]
    public void A_size_of_2_to_the_63_is_EOVERFLOW(string parameter)
    {
        using var running = new RunningServer();
        using RawClient client = running.ConnectRaw();
        JsonElement reply = client.Call($$$"""{"method":"io.loopdaemon.Control.SetStatus","parameters":{"device":3,"{{{parameter}}}":9223372036854775808}}""");
        Assert.Equal("io.loopdaemon.Control.InvalidArgument", reply.GetProperty("error").GetString());
        Assert.Equal("EOVERFLOW", reply.GetProperty("parameters").GetProperty("errno").GetString());
        Assert.Empty(running.Service.Calls);
    }

    private static void AssertError(JsonElement reply, string error, string parameter, string value)
    {
        Assert.Equal($"org.varlink.service.{error}", reply.GetProperty("error").GetString());
        JsonProperty given = Assert.Single(reply.GetProperty("parameters").EnumerateObject());
        Assert.Equal((parameter, value), (given.Name, given.Value.GetString()));
    }
}
