using System.Runtime.InteropServices;
using LoopDaemon.Fuse.Wire;
using LoopDaemon.Linux;

namespace LoopDaemon.Fuse.Tests;

/// <summary>INIT as kernels of several ages send it.</summary>
public sealed class NegotiationTests
{
    private const ulong AllFlags = ulong.MaxValue;

    [Fact]
    public void A_new_kernel_gets_what_is_wanted_and_no_more()
    {
        InitOut answer = Answer(Init(7, 45, AllFlags), out FuseNegotiation? negotiation);
        Assert.Equal((7u, 45u, 1u << 20, 256, 1u), (answer.Major, answer.Minor, answer.MaxWrite, answer.MaxPages, answer.MaxStackDepth));
        Assert.True(answer.MaxBackground >= 256);
        Assert.True(negotiation!.HasPassthrough && negotiation.HasResend);
        const ulong WritebackCache = 1UL << 16, OverIoUring = 1UL << 41, RequestTimeout = 1UL << 42;
        Assert.Equal(0UL, negotiation.Flags & (WritebackCache | OverIoUring | RequestTimeout));
        Assert.Equal(negotiation.Flags, answer.Flags | (ulong)answer.Flags2 << 32);
    }

    [Theory]
    [InlineData(AllFlags, true)]
    [InlineData(AllFlags & ~(1UL << 41), false)]
    public void FUSE_over_io_uring_is_agreed_on_where_it_is_asked_for_and_offered(ulong offered, bool agreed)
    {
        FuseNegotiation.Answer(Init(7, 45, offered), InitFlags.OverIoUring, new byte[64], out _, out FuseNegotiation? negotiation);
        Assert.Equal(agreed, (negotiation!.Flags & 1UL << 41) != 0);
    }

    [Fact]
    public void A_newer_minor_is_answered_with_ours()
    {
        Assert.Equal(45u, Answer(Init(7, 99, AllFlags), out _).Minor);
    }

    /// <summary>Linux 6.1, as Debian 12 has it: 7.38, extended flags, neither passthrough nor resend.</summary>
    [Fact]
    public void Debian_12_gets_along_without_passthrough_and_resend()
    {
        InitOut answer = Answer(Init(7, 38, 0x0000_0003_73ff_fffb), out FuseNegotiation? negotiation);
        Assert.Equal((38u, 0u), (answer.Minor, answer.MaxStackDepth));
        Assert.False(negotiation!.HasPassthrough || negotiation.HasResend);
    }

    /// <summary>Linux 5.4: 7.31, a request of 16 bytes.</summary>
    [Fact]
    public void A_request_without_extended_flags_is_understood()
    {
        byte[] old = Init(7, 31, 0x07ff_ffff)[..InitIn.ShortSize];
        InitOut answer = Answer(old, out FuseNegotiation? negotiation);
        Assert.Equal((31u, 0u), (answer.Minor, answer.Flags2));
        Assert.NotNull(negotiation);
    }

    [Fact]
    public void Flags2_of_a_kernel_that_does_not_announce_them_are_ignored()
    {
        Answer(Init(7, 36, AllFlags & ~(1UL << 30)), out FuseNegotiation? negotiation);
        Assert.Equal(0UL, negotiation!.Flags >> 32);
    }

    [Fact]
    public void A_newer_major_version_is_asked_to_come_again()
    {
        InitOut answer = Answer(Init(8, 0, AllFlags), out FuseNegotiation? negotiation);
        Assert.Equal(7u, answer.Major);
        Assert.Null(negotiation);
    }

    [Theory]
    [InlineData(7, 30)]
    [InlineData(6, 45)]
    public void An_old_kernel_is_refused(uint major, uint minor)
    {
        Assert.Equal(Errno.EPROTO, FuseNegotiation.Answer(Init(major, minor, AllFlags), default, new byte[64], out _, out _));
    }

    [Fact]
    public void A_truncated_request_is_refused()
    {
        Assert.Equal(Errno.EPROTO, FuseNegotiation.Answer(new byte[15], default, new byte[64], out _, out _));
    }

    private static byte[] Init(uint major, uint minor, ulong flags)
    {
        byte[] body = new byte[64];
        var init = new InitIn { Major = major, Minor = minor, MaxReadAhead = 131072, Flags = (uint)flags, Flags2 = (uint)(flags >> 32) };
        MemoryMarshal.Write(body, in init);
        return body;
    }

    private static InitOut Answer(byte[] body, out FuseNegotiation? negotiation)
    {
        byte[] reply = new byte[64];
        Assert.Equal(Errno.None, FuseNegotiation.Answer(body, default, reply, out int length, out negotiation));
        Assert.Equal(64, length);
        return MemoryMarshal.Read<InitOut>(reply);
    }
}
