using System.Net.Sockets;
using LoopDaemon.Linux;

namespace LoopDaemon.Control.Tests;

/// <summary>The server's socket and its end.</summary>
public sealed class ListeningTests : IDisposable
{
    private static readonly ControlServerOptions Options = new() { Version = "1" };

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("loopd-control-");

    private string SocketPath => Path.Combine(_folder.FullName, "control");

    [Theory]
    [InlineData(0x180)] // 0600
    [InlineData(0x1b0)] // 0660
    [InlineData(0x1b6)] // 0666
    public void The_socket_has_the_mode_asked_for_whatever_the_umask(int mode)
    {
        using ControlServer server = Listen((UnixFileMode)mode);
        Assert.Equal(Errno.None, FileStatus.Of(SocketPath, out FileStatus status));
        Assert.Equal((FileKind.Socket, (uint)mode), (status.Kind, status.Permissions));
        Assert.Equal([SocketPath], Directory.EnumerateFileSystemEntries(_folder.FullName));
    }

    [Fact]
    public void A_stopped_server_leaves_nothing_behind()
    {
        Listen().Dispose();
        Assert.Empty(_folder.EnumerateFileSystemInfos());
    }

    [Fact]
    public void A_stopped_server_leaves_its_successors_socket_alone()
    {
        ControlServer first = Listen();
        File.Delete(SocketPath);
        using ControlServer second = Listen();
        first.Dispose();
        ControlClient.Connect(SocketPath).Dispose();
    }

    [Fact]
    public void A_socket_of_a_dead_daemon_is_replaced()
    {
        // Moved after it was bound, it outlives its socket.
        using (var dead = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            dead.Bind(new UnixDomainSocketEndPoint(SocketPath + "2"));
            File.Move(SocketPath + "2", SocketPath);
        }
        using ControlServer server = Listen();
        ControlClient.Connect(SocketPath).Dispose();
    }

    [Fact]
    public void A_living_daemon_is_left_alone()
    {
        using ControlServer server = Listen();
        Assert.Equal(Errno.EBUSY, Assert.Throws<LinuxException>(() => Listen()).Errno);
        ControlClient.Connect(SocketPath).Dispose();
    }

    [Fact]
    public void A_file_that_is_no_socket_is_left_alone()
    {
        File.WriteAllText(SocketPath, "precious");
        Assert.Equal(Errno.EEXIST, Assert.Throws<LinuxException>(() => Listen()).Errno);
        Assert.Equal("precious", File.ReadAllText(SocketPath));
    }

    [Fact]
    public void Impossible_paths_are_refused_with_a_reason()
    {
        string tooLong = Path.Combine(_folder.FullName, new string('x', 100));
        Assert.Equal(Errno.EINVAL, Assert.Throws<LinuxException>(() => ControlServer.Listen(tooLong, RunningServer.OwnerOnly, new FakeService(), Options)).Errno);
        string nowhere = Path.Combine(_folder.FullName, "no", "control");
        LinuxException e = Assert.Throws<LinuxException>(() => ControlServer.Listen(nowhere, RunningServer.OwnerOnly, new FakeService(), Options));
        Assert.Contains(nowhere, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_call_under_way_is_answered_when_the_server_stops_and_others_are_ended()
    {
        var service = new FakeService();
        ControlServer server = ControlServer.Listen(SocketPath, RunningServer.OwnerOnly, service, Options);
        using var release = new ManualResetEventSlim();
        service.OnClear = _ => release.Wait();
        using RawClient idle = new(SocketPath);
        using ControlClient busy = ControlClient.Connect(SocketPath);
        var call = Task.Run(() => busy.Clear(1), TestContext.Current.CancellationToken);
        RunningServer.Eventually(() => !service.Callers.IsEmpty);
        var stop = Task.Run(server.Dispose, TestContext.Current.CancellationToken);
        Assert.Null(idle.Receive());
        release.Set();
        Assert.True((await call).Deferred);
        await stop;
        Assert.Equal(0, server.ConnectionCount);
        Assert.True(Assert.Throws<DaemonUnavailableException>(() => ControlClient.Connect(SocketPath)).IsNotRunning);
    }

    [Fact]
    public async Task A_call_that_never_ends_does_not_keep_the_server_from_stopping()
    {
        var service = new FakeService();
        ControlServer server = ControlServer.Listen(
            SocketPath, RunningServer.OwnerOnly, service, Options with { StopTimeout = TimeSpan.FromMilliseconds(100) });
        using var release = new ManualResetEventSlim();
        service.OnClear = _ => release.Wait();
        using ControlClient busy = ControlClient.Connect(SocketPath);
        var call = Task.Run(() => Assert.Throws<ControlException>(() => busy.Clear(1)), TestContext.Current.CancellationToken);
        RunningServer.Eventually(() => !service.Callers.IsEmpty);
        server.Dispose();
        Assert.Equal(Errno.ECONNRESET, (await call).Errno);
        release.Set();
        RunningServer.Eventually(() => server.ConnectionCount == 0);
    }

    [Fact]
    public void An_adopted_socket_is_served_and_outlives_the_server()
    {
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(SocketPath));
        listener.Listen();
        for (int round = 0; round < 2; round++)
        {
            using var handedOver = new FileDescriptor((int)listener.Handle);
            using ControlServer server = ControlServer.Adopt(handedOver, null, new FakeService(), Options);
            // The number stays the listener's.
            handedOver.SetHandleAsInvalid();
            using ControlClient client = ControlClient.Connect(SocketPath);
            Assert.Equal(9, client.GetFree().Device);
        }
        Assert.True(File.Exists(SocketPath));
    }

    public void Dispose() => _folder.Delete(recursive: true);

    private ControlServer Listen(UnixFileMode mode = RunningServer.OwnerOnly) =>
        ControlServer.Listen(SocketPath, mode, new FakeService(), Options);
}
