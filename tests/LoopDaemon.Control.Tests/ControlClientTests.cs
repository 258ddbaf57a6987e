using System.Net.Sockets;
using System.Text;
using LoopDaemon.Linux;

namespace LoopDaemon.Control.Tests;

public sealed class ControlClientTests
{
    [Fact]
    public void Configure_carries_every_field_and_the_contents_of_every_descriptor()
    {
        using var running = new RunningServer();
        using ControlClient client = running.Connect();
        using FileDescriptor backing = KeyDescriptor.Create("backing"u8);
        using FileDescriptor key = KeyDescriptor.Create("secret"u8);

        ConfigureReply reply = client.Configure(new ConfigureRequest
        {
            Device = 5,
            BackingFile = backing,
            Offset = 1L << 40,
            SizeLimit = 4096,
            ReadOnly = true,
            Autoclear = true,
            Transfers =
            [
                new TransferRequest { Name = "plain" },
                new TransferRequest { Name = "xor", Options = new Dictionary<string, string> { ["Größe"] = "\0\"" }, Key = key },
            ],
            Partscan = true,
            DirectIo = true,
            SectorSize = 4096,
            Reference = "größe",
            Group = 100,
            Mode = 0b110_110_000,
            NoOverlap = true,
            AllowDiscards = true,
            SectorsFromOffset = true,
        });

        Assert.Equal((5, "/run/loopd/dev/loop7", 1L << 20, true), (reply.Device, reply.Path, reply.Size, reply.ReadOnly));
        Assert.Equal(["careful"], reply.Warnings);
        ConfigureRequest request = running.Service.Request!;
        Assert.Equal((5, 1L << 40, 4096L), (request.Device, request.Offset, request.SizeLimit));
        Assert.True(request.ReadOnly && request.Autoclear && request.AllowDiscards && request.SectorsFromOffset);
        Assert.True(request.Partscan && request.DirectIo && request.NoOverlap);
        Assert.Equal((4096, "größe", 100u, 0b110_110_000), (request.SectorSize, request.Reference, request.Group, request.Mode));
        Assert.Equal(["plain", "xor"], request.Transfers.Select(transfer => transfer.Name));
        Assert.Equal("\0\"", request.Transfers[1].Options["Größe"]);
        Assert.Equal(["backing", "secret"], running.Service.Contents);
    }

    [Fact]
    public void Configure_of_the_least_has_the_defaults()
    {
        using var running = new RunningServer();
        using ControlClient client = running.Connect();
        using FileDescriptor backing = KeyDescriptor.Create("b"u8);

        Assert.Equal(7, client.Configure(new ConfigureRequest { BackingFile = backing }).Device);

        ConfigureRequest request = running.Service.Request!;
        Assert.Equal((null, 0L, 0L), (request.Device, request.Offset, request.SizeLimit));
        Assert.False(request.ReadOnly || request.Autoclear || request.AllowDiscards || request.SectorsFromOffset);
        Assert.False(request.Partscan || request.DirectIo || request.NoOverlap);
        Assert.Equal((512, "", null, null), (request.SectorSize, request.Reference, request.Group, request.Mode));
        Assert.Empty(request.Transfers);
    }

    [Theory]
    [InlineData(ShutdownMode.Refuse)]
    [InlineData(ShutdownMode.Lazy)]
    [InlineData(ShutdownMode.Force)]
    public void Shutdown_carries_its_mode(ShutdownMode mode)
    {
        using var running = new RunningServer();
        using ControlClient client = running.Connect();
        client.Shutdown(mode);
        Assert.Equal([(nameof(IControlService.Shutdown), mode)], running.Service.Calls);
    }

    [Fact]
    public void The_servers_descriptors_are_closed_after_the_call_and_the_clients_are_not()
    {
        using var running = new RunningServer();
        using ControlClient client = running.Connect();
        using FileDescriptor backing = KeyDescriptor.Create("b"u8);
        client.Configure(new ConfigureRequest { BackingFile = backing });
        client.GetFree();
        Assert.True(running.Service.Request!.BackingFile.IsClosed);
        Assert.Equal(Errno.None, backing.GetStatus(out _));
    }

    [Fact]
    public void Every_change_of_a_device_arrives_as_it_was_sent()
    {
        using var running = new RunningServer();
        using ControlClient client = running.Connect();
        var all = new StatusChange { Autoclear = true, Partscan = true, Offset = 1L << 40, SizeLimit = 7, Reference = "größe" };
        SizeReply reply = client.SetStatus(3, all);
        client.SetStatus(4, new StatusChange());
        using FileDescriptor other = KeyDescriptor.Create("another"u8);
        client.ChangeBackingFile(5, other);
        client.SetCapacity(6);
        client.SetDirectIo(7, false);
        client.SetSectorSize(8, 4096);
        client.Rescan(9);
        client.Remove(10);

        Assert.Equal(
            [(3, all), (4, new StatusChange()), (5, "another"), ("SetCapacity", 6), (7, false), (8, 4096), ("Rescan", 9), ("Remove", 10)],
            running.Service.Calls);
        Assert.Equal((4096L, "so so"), (reply.Size, Assert.Single(reply.Warnings)));
        Assert.Equal(FakeService.Status.Partitions, reply.Partitions);
        Assert.Equal((11, 9), (client.Add(11).Device, client.Add(null).Device));
        Assert.Equal(new DaemonStatus("/run/loopd/dev", 8, 65536, 42), client.GetDaemon());
    }

    [Fact]
    public void Every_other_method_round_trips()
    {
        using var running = new RunningServer();
        using ControlClient client = running.Connect();

        Assert.False(client.Clear(4).Deferred);
        Assert.True(client.Clear(5).Deferred);
        Assert.Equivalent(FakeService.Status, client.GetStatus(3), strict: true);
        Assert.Equivalent(FakeService.Status, Assert.Single(client.List()), strict: true);
        Assert.Equal(new GetFreeReply(9, "/run/loopd/dev/loop9"), client.GetFree());
        Assert.Equal(
            [new TransferDescription("xor", "XOR with a key", true, 1), new TransferDescription("rot13", "a plug-in", false)],
            client.ListTransfers());
        ServiceInfo info = client.GetInfo();
        Assert.Equal(("LoopDaemon", "loopd", "1.2.3", ""), (info.Vendor, info.Product, info.Version, info.Url));
        Assert.Equal(["org.varlink.service", "io.loopdaemon.Control"], info.Interfaces);
    }

    [Fact]
    public void Every_error_arrives_as_it_was_thrown()
    {
        using var running = new RunningServer();
        using ControlClient client = running.Connect();
        foreach (ControlError error in Enum.GetValues<ControlError>())
        {
            var thrown = new ControlException(error, $"it is {error}");
            running.Service.OnClear = _ => throw thrown;
            ControlException caught = Assert.Throws<ControlException>(() => client.Clear(0));
            Assert.Equal((thrown.Error, thrown.Errno, thrown.Message), (caught.Error, caught.Errno, caught.Message));
        }
    }

    [Theory]
    [InlineData(Errno.ENOSPC)]
    [InlineData((Errno)123)]
    public void A_failed_system_call_is_Failed_with_its_errno(Errno errno)
    {
        using var running = new RunningServer();
        using ControlClient client = running.Connect();
        running.Service.OnClear = _ => throw LinuxException.WithMessage(errno, "the disk is full");
        ControlException caught = Assert.Throws<ControlException>(() => client.Clear(0));
        Assert.Equal((ControlError.Failed, errno, "the disk is full"), (caught.Error, caught.Errno, caught.Message));
    }

    [Fact]
    public void An_unexpected_exception_is_EIO_for_the_client_and_whole_in_the_log()
    {
        using var running = new RunningServer();
        using ControlClient client = running.Connect();
        running.Service.OnClear = _ => throw new InvalidCastException("a detail");
        ControlException caught = Assert.Throws<ControlException>(() => client.Clear(0));
        Assert.Equal((ControlError.Failed, Errno.EIO), (caught.Error, caught.Errno));
        Assert.DoesNotContain("detail", caught.Message, StringComparison.Ordinal);
        Assert.Contains("a detail", Assert.Single(running.Log), StringComparison.Ordinal);
        running.Service.OnClear = _ => { };
        client.Clear(0);
    }

    [Fact]
    public void A_negative_value_is_InvalidArgument_that_names_it()
    {
        using var running = new RunningServer();
        using ControlClient client = running.Connect();
        using FileDescriptor backing = KeyDescriptor.Create("b"u8);
        ControlException caught = Assert.Throws<ControlException>(
            () => client.Configure(new ConfigureRequest { BackingFile = backing, Offset = -1 }));
        Assert.Equal(ControlError.InvalidArgument, caught.Error);
        Assert.Contains("\"offset\"", caught.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void No_socket_means_that_no_daemon_runs()
    {
        DaemonUnavailableException e = Assert.Throws<DaemonUnavailableException>(() => ControlClient.Connect("/nonexistent/control"));
        Assert.Equal((Errno.ENOENT, true, "no daemon answers on /nonexistent/control"), (e.Errno, e.IsNotRunning, e.Message));
    }

    [Fact]
    public void A_socket_that_nobody_listens_on_means_that_no_daemon_runs()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("loopd-control-");
        string path = Path.Combine(folder.FullName, "control");
        using var bound = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        bound.Bind(new UnixDomainSocketEndPoint(path));
        DaemonUnavailableException e = Assert.Throws<DaemonUnavailableException>(() => ControlClient.Connect(path));
        Assert.Equal((Errno.ECONNREFUSED, true), (e.Errno, e.IsNotRunning));
        folder.Delete(recursive: true);
    }

    [Fact]
    public void A_path_that_no_socket_can_have_is_no_sign_of_a_missing_daemon()
    {
        DaemonUnavailableException e = Assert.Throws<DaemonUnavailableException>(() => ControlClient.Connect("/" + new string('x', 200)));
        Assert.Equal((Errno.EINVAL, false), (e.Errno, e.IsNotRunning));
    }

    [Fact]
    public void Permission_denied_is_told_apart()
    {
        var e = new DaemonUnavailableException("/run/x", Errno.EACCES, new IOException());
        Assert.Equal((false, "permission denied on the socket /run/x"), (e.IsNotRunning, e.Message));
    }

    [Theory]
    [InlineData("", Errno.ECONNRESET)]
    [InlineData("{\"parameters\":", Errno.ECONNRESET)]
    [InlineData("nonsense\0", Errno.EPROTO)]
    [InlineData("[]\0", Errno.EPROTO)]
    [InlineData("{}\0", Errno.EPROTO)]
    [InlineData("{\"parameters\":{}}\0", Errno.EPROTO)]
    [InlineData("{\"parameters\":{\"device\":1,\"path\":null}}\0", Errno.EPROTO)]
    [InlineData("{\"error\":7}\0", Errno.EPROTO)]
    [InlineData("{\"error\":\"io.loopdaemon.Control.Busy\"}\0", Errno.EPROTO)]
    [InlineData("{\"error\":\"io.loopdaemon.Control.3\"}\0", Errno.EPROTO)]
    [InlineData("{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{}}\0", Errno.EPROTO)]
    [InlineData("{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":{}}\0", Errno.EOPNOTSUPP)]
    public void A_daemon_that_answers_so_and_dies_gives_one_clear_error(string answer, Errno expected)
    {
        ControlException e = Assert.Throws<ControlException>(() => AskFake(
            daemon =>
            {
                daemon.Receive(new byte[1000]);
                daemon.Send(Encoding.UTF8.GetBytes(answer));
                daemon.Dispose();
            },
            client => client.GetFree()));
        Assert.Equal(expected, e.Errno);
        // It follows "loopctl: ".
        Assert.Matches("^the daemon('s)? [^\n]*[^.]$", e.Message);
    }

    [Fact]
    public void A_daemon_that_does_not_answer_times_out_and_the_connection_is_done()
    {
        AskFake(
            _ => { },
            client =>
            {
                Assert.Equal(Errno.ETIMEDOUT, Assert.Throws<ControlException>(() => client.GetFree()).Errno);
                Assert.Equal(Errno.ENOTCONN, Assert.Throws<ControlException>(() => client.GetFree()).Errno);
            });
    }

    /// <summary>Has a client talk to a daemon that is one function.</summary>
    private static void AskFake(Action<Socket> daemon, Action<ControlClient> ask)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("loopd-control-");
        string path = Path.Combine(folder.FullName, "control");
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        using ControlClient client = ControlClient.Connect(path, TimeSpan.FromSeconds(2));
        using Socket accepted = listener.Accept();
        var thread = new Thread(() => daemon(accepted));
        thread.Start();
        try
        {
            ask(client);
        }
        finally
        {
            thread.Join();
            folder.Delete(recursive: true);
        }
    }
}
