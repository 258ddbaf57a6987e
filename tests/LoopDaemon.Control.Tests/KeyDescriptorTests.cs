using System.Diagnostics;
using System.IO.Pipes;
using System.Net.Sockets;
using LoopDaemon.Linux;

namespace LoopDaemon.Control.Tests;

public sealed class KeyDescriptorTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(32)]
    public void A_key_comes_back_from_memory_whatever_the_position(int length)
    {
        byte[] key = [.. Enumerable.Range(1, length).Select(i => (byte)i)];
        using FileDescriptor memory = KeyDescriptor.Create(key);
        memory.Read(new byte[7], out _);
        Assert.Equal(key, KeyDescriptor.Read(memory, 32, Patience));
    }

    [Fact]
    public void A_key_that_is_too_long_is_refused()
    {
        using FileDescriptor memory = KeyDescriptor.Create(new byte[33]);
        AssertBadKey(Errno.EINVAL, memory);
    }

    [Fact]
    public void A_key_comes_through_a_pipe_in_pieces()
    {
        using var pipe = new AnonymousPipeServerStream(PipeDirection.Out);
        using FileDescriptor end = Take(pipe.ClientSafePipeHandle);
        var writing = new Thread(() =>
        {
            foreach (byte b in "secret"u8)
            {
                pipe.WriteByte(b);
                Thread.Sleep(10);
            }
            pipe.Dispose();
        });
        writing.Start();
        pipe.DisposeLocalCopyOfClientHandle();
        Assert.Equal("secret"u8, KeyDescriptor.Read(end, 32, Patience));
        writing.Join();
    }

    [Fact]
    public void A_pipe_that_never_ends_times_out()
    {
        using var pipe = new AnonymousPipeServerStream(PipeDirection.Out);
        using FileDescriptor end = Take(pipe.ClientSafePipeHandle);
        pipe.Write("sec"u8);
        var clock = Stopwatch.StartNew();
        ControlException e = Assert.Throws<ControlException>(() => KeyDescriptor.Read(end, 32, TimeSpan.FromMilliseconds(100)));
        Assert.Equal((ControlError.BadKey, Errno.ETIMEDOUT), (e.Error, e.Errno));
        Assert.InRange(clock.Elapsed, TimeSpan.FromMilliseconds(50), Patience);
    }

    [Fact]
    public void A_pipe_with_more_than_a_key_is_refused_at_once()
    {
        using var pipe = new AnonymousPipeServerStream(PipeDirection.Out);
        using FileDescriptor end = Take(pipe.ClientSafePipeHandle);
        pipe.Write(new byte[33]);
        AssertBadKey(Errno.EINVAL, end);
    }

    [Theory]
    [InlineData("/")]
    [InlineData("/dev/zero")]
    public void What_is_neither_file_nor_pipe_is_refused(string path)
    {
        using FileDescriptor opened = FileDescriptor.Open(path, OpenFlags.ReadOnly);
        AssertBadKey(Errno.EINVAL, opened);
    }

    [Fact]
    public void A_socket_is_refused()
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        using FileDescriptor own = Take(socket.SafeHandle);
        AssertBadKey(Errno.EINVAL, own);
    }

    [Fact]
    public void A_descriptor_that_cannot_be_read_is_refused()
    {
        using var pipe = new AnonymousPipeServerStream(PipeDirection.Out);
        using FileDescriptor writeEnd = Take(pipe.SafePipeHandle);
        pipe.DisposeLocalCopyOfClientHandle();
        AssertBadKey(Errno.EBADF, writeEnd);
    }

    private static void AssertBadKey(Errno errno, FileDescriptor descriptor)
    {
        ControlException e = Assert.Throws<ControlException>(() => KeyDescriptor.Read(descriptor, 32, Patience));
        Assert.Equal((ControlError.BadKey, errno), (e.Error, e.Errno));
    }

    private static FileDescriptor Take(System.Runtime.InteropServices.SafeHandle handle)
    {
        var borrowed = new FileDescriptor((int)handle.DangerousGetHandle());
        FileDescriptor own = borrowed.Duplicate();
        borrowed.SetHandleAsInvalid();
        return own;
    }
}
