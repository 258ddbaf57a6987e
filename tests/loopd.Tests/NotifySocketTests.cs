using System.Net.Sockets;
using System.Text;
using LoopDaemon.Daemon.Supervision;
using LoopDaemon.Linux;

namespace LoopDaemon.Daemon.Tests;

public sealed class NotifySocketTests : IDisposable
{
    private readonly NotifySocket _socket = new();

    public void Dispose() => _socket.Dispose();

    [Fact]
    public void A_message_comes_with_its_assignments_and_descriptors()
    {
        using FileDescriptor first = FileDescriptor.CreateMemory("first", 0), second = FileDescriptor.CreateMemory("second", 0);
        Send("FDSTORE=1\nnonsense\n=\nFDNAME=a=b\n", first, second);
        Assert.True(_socket.TryReceive(out Dictionary<string, string> assignments, out List<FileDescriptor> descriptors, out bool lost));
        Assert.Equal(new() { ["FDSTORE"] = "1", ["FDNAME"] = "a=b" }, assignments);
        Assert.Equal(["/memfd:first (deleted)", "/memfd:second (deleted)"], descriptors.Select(descriptor => descriptor.DescribePath()));
        Assert.False(lost);
        descriptors.ForEach(descriptor => descriptor.Dispose());
        Assert.False(_socket.TryReceive(out _, out _, out _));
    }

    [Fact]
    public void A_strangers_message_is_empty_and_its_descriptors_are_gone()
    {
        Assert.SkipUnless(Credentials.IsRoot, "needs root, to be somebody else");
        (FileDescriptor here, FileDescriptor there) = DescriptorPassing.CreatePair();
        using (here)
        {
            AsSomebodyElse.Send(_socket.Address, "FDSTORE=1\nFDNAME=evil", there);
            there.Dispose();
            Send("READY=1");
            Assert.True(_socket.TryReceive(out Dictionary<string, string> assignments, out List<FileDescriptor> descriptors, out bool lost));
            Assert.Empty(assignments);
            Assert.Empty(descriptors);
            Assert.False(lost);
            Assert.True(here.HasFailed);
        }
        Assert.True(_socket.TryReceive(out Dictionary<string, string> ready, out _, out _));
        Assert.Equal("1", ready["READY"]);
    }

    [Fact]
    public void A_ring_makes_it_readable_and_says_nothing()
    {
        _socket.Ring();
        Assert.True(_socket.TryReceive(out Dictionary<string, string> assignments, out List<FileDescriptor> descriptors, out _));
        Assert.Empty(assignments);
        Assert.Empty(descriptors);
        Assert.False(_socket.TryReceive(out _, out _, out _));
        // However often: it never waits for room.
        for (int i = 0; i < 5000; i++)
            _socket.Ring();
        Assert.True(_socket.TryReceive(out _, out _, out _));
    }

    private void Send(string text, params FileDescriptor[] descriptors)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        socket.Connect(new UnixDomainSocketEndPoint('\0' + _socket.Address[1..]));
        Assert.Equal(Errno.None, DescriptorPassing.Send((int)socket.Handle, Encoding.UTF8.GetBytes(text), descriptors, wait: true, out _));
    }
}
