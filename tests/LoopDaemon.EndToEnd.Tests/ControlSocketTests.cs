using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>The daemon's socket under clients of every kind, and what each user may do.</summary>
public sealed class ControlSocketTests(SharedLoopd shared) : IClassFixture<SharedLoopd>
{
    private const string GetFree = """{"method":"io.loopdaemon.Control.GetFree"}""";
    private const string Configure = """{"method":"io.loopdaemon.Control.Configure","parameters":{"backingFile":0}}""";

    private readonly Loopd _loopd = shared.Fresh();

    [Theory]
    [InlineData("\0")]
    [InlineData("nonsense\0")]
    [InlineData("[]\0")]
    [InlineData("{}\0")]
    [InlineData("{\"method\":5}\0")]
    [InlineData("{\"method\":\"\"}\0")]
    [InlineData("{\"method\":\"io.loopdaemon.Control.GetFree\",\"parameters\":[]}\0")]
    [InlineData("{\"method\":\"io.loopdaemon.Control.GetFree\"")]
    [InlineData("{\"method\":\"io.loopdaemon.Control.GetFree\",\"more\":\"\uFFFE\"}\0")]
    [InlineData("{\"method\":\"io.loopdaemon.Control.Format\"}\0")]
    [InlineData("{\"method\":\"io.loopdaemon.Control.Configure\",\"parameters\":{\"backingFile\":0}}\0")]
    [InlineData("{\"method\":\"io.loopdaemon.Control.Configure\",\"parameters\":{\"backingFile\":-1}}\0")]
    [InlineData("{\"method\":\"io.loopdaemon.Control.Clear\",\"parameters\":{\"device\":1e30}}\0")]
    [InlineData("GET / HTTP/1.1\r\n\r\n")]
    public void A_message_that_is_none_harms_nobody(string text)
    {
        int before = _loopd.OpenDescriptors();
        for (int i = 0; i < 20; i++)
        {
            using Socket socket = Connect();
            socket.Send(Encoding.UTF8.GetBytes(text));
        }
        AssertServed(before);
    }

    [Fact]
    public void A_message_of_more_than_a_MiB_ends_its_connection()
    {
        int before = _loopd.OpenDescriptors();
        using (Socket socket = Connect())
        {
            byte[] block = new byte[1 << 16];
            block.AsSpan().Fill((byte)'x');
            Assert.Throws<SocketException>(() =>
            {
                for (int i = 0; i < 256; i++)
                    socket.Send(block);
            });
        }
        AssertServed(before);
    }

    [Fact]
    public void A_client_that_dies_behind_its_descriptor_leaves_none_behind()
    {
        string image = _loopd.MakeFile("disk.img", 4096);
        using FileDescriptor file = FileDescriptor.Open(image, OpenFlags.ReadWrite);
        int before = _loopd.OpenDescriptors();
        for (int i = 0; i < 50; i++)
        {
            using Socket socket = Connect();
            Send(socket, Configure[..20], file);
        }
        AssertServed(before);
    }

    [Fact]
    public void A_client_that_dies_before_its_answer_has_bound_a_device_that_can_be_cleared()
    {
        string image = _loopd.MakeFile("disk.img", 4096);
        using FileDescriptor file = FileDescriptor.Open(image, OpenFlags.ReadWrite);
        int before = _loopd.OpenDescriptors();
        using (Socket socket = Connect())
            Send(socket, Configure + "\0", file);
        Loopd.WaitUntil(() => _loopd.List().Count == 1, "the device is bound");
        Shell.Run("cmp", image, _loopd.Device(0)).Succeeded();
        _loopd.Control("-d", "loop0").Succeeded();
        AssertServed(before);
    }

    [Fact]
    public void A_killed_loopctl_harms_nobody()
    {
        string image = _loopd.MakeFile("disk.img", 4096);
        int before = _loopd.OpenDescriptors();
        for (int i = 1; i <= 8; i++)
            Shell.Run("timeout", "-s", "KILL", $"0.0{i * 2}", Loopd.ControlProgram, "--control", _loopd.Socket, "-f", image);
        using (ControlClient client = _loopd.Connect())
        {
            foreach (DeviceStatus device in client.List())
                client.Clear(device.Device);
        }
        AssertServed(before);
    }

    [Fact]
    public void The_service_tells_about_itself()
    {
        JsonElement info = Call("""{"method":"org.varlink.service.GetInfo"}""").GetProperty("parameters");
        Assert.Equal("loopd", info.GetProperty("product").GetString());
        Assert.Equal(["org.varlink.service", "io.loopdaemon.Control"], info.GetProperty("interfaces").EnumerateArray().Select(name => name.GetString()));
        foreach (string name in (string[])["org.varlink.service", "io.loopdaemon.Control"])
        {
            string text = Call($$$"""{"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"{{{name}}}"}}""")
                .GetProperty("parameters").GetProperty("description").GetString()!;
            Assert.Contains($"interface {name}\n", text, StringComparison.Ordinal);
        }
        JsonElement free = Call(GetFree).GetProperty("parameters");
        Assert.Equal((0, _loopd.Device(0)), (free.GetProperty("device").GetInt32(), free.GetProperty("path").GetString()));
    }

    [Fact]
    public async Task Thirty_two_who_bind_at_once_get_a_device_each()
    {
        const int Clients = 32;
        using var loopd = new Loopd("--max-loop", "64");
        string image = loopd.MakeFile("disk.img", 1 << 20);
        int before = loopd.OpenDescriptors();
        string[] devices = await Task.WhenAll(Enumerable.Range(0, Clients).Select(_ => Task.Run(() => loopd.Bind(image))));
        Assert.Equal(Enumerable.Range(0, Clients).Select(loopd.Device).Order(StringComparer.Ordinal), devices.Order(StringComparer.Ordinal));
        Assert.Equal(Clients, loopd.List().Count);
        await Task.WhenAll(devices.Select(device => Task.Run(() => loopd.Control("-d", device).Succeeded())));
        Assert.Empty(loopd.List());
        Loopd.WaitUntil(() => loopd.OpenDescriptors() <= before, "the daemon lets go of what its clients sent");
    }

    [Fact]
    public void A_user_controls_what_he_bound_and_root_everything()
    {
        AnotherUser.SkipUnlessPossible();
        using var loopd = new Loopd("--control-mode", "0666");
        File.SetUnixFileMode(loopd.Directory, (UnixFileMode)0b111_101_101);
        string roots = loopd.MakeFile("root.img", 4096), his = loopd.MakeFile("his.img", 8192, seed: 2);
        File.SetUnixFileMode(roots, (UnixFileMode)0b110_000_000);
        Assert.Equal(Errno.None, SystemCall.ChangeOwner(his, AnotherUser.Id, AnotherUser.Id));
        string rootsDevice = loopd.Bind(roots);
        Assert.Equal(loopd.Device(1) + "\n", AnotherUser.Control(loopd, "-f", "--show", his).Succeeded().Output);

        Assert.Equal(Errno.None, FileStatus.Of(loopd.Device(1), out FileStatus status));
        Assert.Equal(((uint)AnotherUser.Id, (uint)AnotherUser.Id, 0b110_000_000u), (status.Uid, status.Gid, status.Permissions));
        AnotherUser.Run("cmp", his, loopd.Device(1)).Succeeded();
        AnotherUser.Run("dd", "if=/dev/zero", $"of={loopd.Device(1)}", "bs=4096", "count=1", "conv=notrunc").Succeeded();
        Assert.Equal(-1, File.ReadAllBytes(his).AsSpan(0, 4096).IndexOfAnyExcept((byte)0));
        Assert.Contains("Permission denied", AnotherUser.Run("cat", rootsDevice).Error, StringComparison.Ordinal);

        string seen = AnotherUser.Control(loopd, "-l").Succeeded().Output;
        Assert.Contains(his, seen, StringComparison.Ordinal);
        Assert.DoesNotContain(roots, seen, StringComparison.Ordinal);
        AnotherUser.Control(loopd, "-d", "loop0").Refused("loop0: detach failed: loop0 belongs to another user");
        AnotherUser.Control(loopd, "loop0").Refused("loop0 belongs to another user");
        AnotherUser.Control(loopd, "-f", roots).Refused($"{roots}: failed to set up loop device: Permission denied");
        string refused = AnotherUser.Control(loopd, "loop0", his).Refused("loop0 is in use").Error;
        Assert.DoesNotContain(roots, refused, StringComparison.Ordinal);

        Assert.Equal([(0, 0u), (1, (uint)AnotherUser.Id)], loopd.List().Select(device => (device.Device, device.Owner)));
        Shell.Run("cmp", his, loopd.Device(1)).Succeeded();
        AnotherUser.Control(loopd, "-d", "loop1").Succeeded();
        AnotherUser.Control(loopd, "loop2", his).Succeeded();
        loopd.Control("-d", "loop2", "loop0").Succeeded();
        Assert.Empty(loopd.List());
    }

    [Fact]
    public void A_users_file_that_he_may_not_write_gives_a_read_only_device()
    {
        AnotherUser.SkipUnlessPossible();
        using var loopd = new Loopd("--control-mode", "0666");
        File.SetUnixFileMode(loopd.Directory, (UnixFileMode)0b111_101_101);
        string image = loopd.MakeFile("disk.img", 4096);
        File.SetUnixFileMode(image, (UnixFileMode)0b100_100_100);
        AnotherUser.Control(loopd, "-f", image).Succeeded();
        Assert.True(Assert.Single(loopd.List()).ReadOnly);
        AnotherUser.Run("cmp", image, loopd.Device(0)).Succeeded();
        Assert.Contains("Permission denied",
            AnotherUser.Run("dd", "if=/dev/zero", $"of={loopd.Device(0)}", "count=1", "conv=notrunc").Error, StringComparison.Ordinal);
    }

    private static void Send(Socket socket, string text, FileDescriptor descriptor)
    {
        Assert.Equal(Errno.None, DescriptorPassing.Send(
            (int)socket.Handle, Encoding.UTF8.GetBytes(text), [descriptor], wait: true, out int count));
        Assert.Equal(text.Length, count);
    }

    private Socket Connect()
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { SendTimeout = 10_000, ReceiveTimeout = 10_000 };
        socket.Connect(new UnixDomainSocketEndPoint(_loopd.Socket));
        return socket;
    }

    private JsonElement Call(string json)
    {
        using Socket socket = Connect();
        socket.Send(Encoding.UTF8.GetBytes(json + "\0"));
        var received = new List<byte>();
        byte[] buffer = new byte[65536];
        while (!received.Contains(0))
        {
            int count = socket.Receive(buffer);
            Assert.NotEqual(0, count);
            received.AddRange(buffer.AsSpan(0, count));
        }
        return JsonElement.Parse(received.GetRange(0, received.Count - 1).ToArray());
    }

    /// <summary>The daemon lives, serves the next one, has bound nothing and holds nothing more than before.</summary>
    private void AssertServed(int descriptorsBefore)
    {
        Assert.Empty(_loopd.List());
        Assert.False(_loopd.HasExited);
        Loopd.WaitUntil(() => _loopd.OpenDescriptors() <= descriptorsBefore, "the daemon lets go of what its clients sent");
    }
}
