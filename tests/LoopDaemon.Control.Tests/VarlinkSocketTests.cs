using System.Net.Sockets;
using System.Text;
using LoopDaemon.Control.Varlink;
using LoopDaemon.Linux;

namespace LoopDaemon.Control.Tests;

/// <summary>Which descriptors belong to which message.</summary>
public sealed class VarlinkSocketTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly VarlinkSocket _sender;
    private readonly VarlinkSocket _receiver;

    public VarlinkSocketTests()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("loopd-control-");
        string path = Path.Combine(folder.FullName, "s");
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        _sender = VarlinkSocket.Connect(path, Patience);
        _receiver = new VarlinkSocket(listener.Accept());
        folder.Delete(recursive: true);
    }

    [Fact]
    public void Descriptors_stay_with_their_own_message_when_several_are_under_way()
    {
        Send("one\0");
        Send("two\0", "a", "b");
        Send("three\0");
        Send("four\0", "c");
        AssertNext("one");
        AssertNext("two", "a", "b");
        AssertNext("three");
        AssertNext("four", "c");
    }

    [Fact]
    public void Descriptors_of_a_long_message_arrive_with_it()
    {
        string text = new('x', 300_000);
        var sending = new Thread(() =>
        {
            Send("short\0");
            Send(text + "\0", "a", "b", "c");
            Send("last\0", "d");
        });
        sending.Start();
        AssertNext("short");
        AssertNext(text, "a", "b", "c");
        AssertNext("last", "d");
        sending.Join();
    }

    [Fact]
    public void Descriptors_sent_with_several_parts_of_a_message_keep_their_order()
    {
        Send("first ", "a");
        Send("second\0", "b");
        AssertNext("first second", "a", "b");
    }

    [Fact]
    public void A_full_set_of_descriptors_fits_beside_the_end_of_a_message_with_as_many()
    {
        string[] names = [.. Enumerable.Range(0, VarlinkSocket.MaxDescriptors).Select(i => $"{i}")];
        Send("one", names);
        Send("\0");
        Send("two\0", names);
        AssertNext("one", names);
        AssertNext("two", names);
    }

    [Fact]
    public void The_end_between_messages_is_no_error_and_inside_one_it_is()
    {
        Send("one\0tw");
        _sender.Dispose();
        AssertNext("one");
        Assert.Throws<VarlinkProtocolException>(() => _receiver.Receive(Patience, Patience));
    }

    [Fact]
    public void Waiting_for_a_message_times_out()
    {
        Assert.Equal(Errno.ETIMEDOUT, Assert.Throws<LinuxException>(() => _receiver.Receive(TimeSpan.FromMilliseconds(50), Patience)).Errno);
        Send("late\0");
        AssertNext("late");
    }

    [Fact]
    public void Received_descriptors_do_not_survive_exec()
    {
        Send("one\0", "a");
        using VarlinkMessage message = _receiver.Receive(Patience, Patience)!;
        string info = File.ReadAllText($"/proc/self/fdinfo/{message.Descriptors[0].Number}");
        string flags = info.Split('\n').Single(line => line.StartsWith("flags:", StringComparison.Ordinal))[6..].Trim();
        Assert.True(((OpenFlags)Convert.ToInt32(flags, 8)).HasFlag(OpenFlags.CloseOnExec));
    }

    public void Dispose()
    {
        _sender.Dispose();
        _receiver.Dispose();
    }

    private void Send(string text, params string[] contents)
    {
        FileDescriptor[] descriptors = [.. contents.Select(content => KeyDescriptor.Create(Encoding.UTF8.GetBytes(content)))];
        _sender.Send(Encoding.UTF8.GetBytes(text), descriptors, Patience);
        foreach (FileDescriptor descriptor in descriptors)
            descriptor.Dispose();
    }

    private void AssertNext(string text, params string[] contents)
    {
        using VarlinkMessage message = _receiver.Receive(Patience, Patience)!;
        Assert.Equal(text, Encoding.UTF8.GetString(message.Json.Span));
        Assert.Equal(contents, message.Descriptors.Select(
            descriptor => Encoding.UTF8.GetString(KeyDescriptor.Read(descriptor, 100, Patience))));
    }
}
