using System.Runtime.InteropServices;
using LoopDaemon.Fuse.Wire;
using LoopDaemon.Linux;

namespace LoopDaemon.Fuse;

/// <summary>What INIT settled between the kernel and this server. Keep it with a mount that is to survive its daemon:
/// INIT is not sent twice.</summary>
/// <param name="Minor">The protocol's minor version, 31 (Linux 5.4) or later.</param>
/// <param name="Flags">The feature bits that both sides know (FUSE_INIT flags, 64 bits).</param>
/// <param name="MaxWriteBytes">The longest write.</param>
/// <param name="MaxReadAheadBytes">The longest read-ahead.</param>
public sealed record FuseNegotiation(uint Minor, ulong Flags, uint MaxWriteBytes, uint MaxReadAheadBytes)
{
    /// <summary>The oldest protocol spoken here: 7.31, of Linux 5.4.</summary>
    public const uint OldestMinor = 31;

    private const uint Major = 7;
    private const uint NewestMinor = 45;
    private const ushort MaxBackground = 512;

    private const InitFlags Wanted =
        InitFlags.AsyncRead | InitFlags.AtomicOpenTruncate | InitFlags.BigWrites | InitFlags.DoReadDirPlus
        | InitFlags.ReadDirPlusAuto | InitFlags.AsyncDirectIo | InitFlags.ParallelDirectoryOperations
        | InitFlags.MaxPages | InitFlags.InitExtended | InitFlags.DirectIoAllowMmap | InitFlags.Passthrough
        | InitFlags.HasResend;

    /// <summary>Whether files can be opened with <see cref="OpenModes.Passthrough"/> (Linux 6.9).</summary>
    public bool HasPassthrough => Has(InitFlags.Passthrough);

    /// <summary>Whether unanswered requests can be asked for again (<see cref="FuseConnection.Resend"/>, Linux 6.9).</summary>
    public bool HasResend => Has(InitFlags.HasResend);

    private bool Has(InitFlags flag) => ((InitFlags)Flags & flag) != 0;

    /// <summary>Reads an INIT request and writes its answer.</summary>
    /// <param name="body">The request behind its header.</param>
    /// <param name="also">Flags to ask for beyond the usual ones.</param>
    /// <param name="reply">The answer behind its header.</param>
    /// <param name="replyLength">Its length in bytes.</param>
    /// <param name="negotiation">The result; null where the kernel is to send INIT again with our major version.</param>
    /// <returns>EPROTO where the kernel's version is too old.</returns>
    internal static Errno Answer(
        ReadOnlySpan<byte> body, InitFlags also, Span<byte> reply, out int replyLength, out FuseNegotiation? negotiation)
    {
        negotiation = null;
        replyLength = 0;
        if (body.Length < InitIn.ShortSize)
            return Errno.EPROTO;
        Span<byte> whole = stackalloc byte[Marshal.SizeOf<InitIn>()];
        whole.Clear();
        body[..Math.Min(body.Length, whole.Length)].CopyTo(whole);
        InitIn asked = MemoryMarshal.Read<InitIn>(whole);

        var answer = new InitOut { Major = Major, Minor = NewestMinor };
        if (asked.Major > Major)
        {
            // The kernel then speaks our major version and sends INIT again.
            replyLength = Marshal.SizeOf<InitOut>();
            MemoryMarshal.Write(reply, in answer);
            return Errno.None;
        }
        if (asked.Major < Major || asked.Minor < OldestMinor)
            return Errno.EPROTO;

        var offered = (InitFlags)asked.Flags;
        if (offered.HasFlag(InitFlags.InitExtended))
            offered |= (InitFlags)((ulong)asked.Flags2 << 32);
        InitFlags agreed = offered & (Wanted | also);
        answer.Minor = Math.Min(asked.Minor, NewestMinor);
        answer.MaxReadAhead = asked.MaxReadAhead;
        answer.Flags = (uint)agreed;
        answer.Flags2 = (uint)((ulong)agreed >> 32);
        answer.MaxBackground = MaxBackground;
        answer.CongestionThreshold = MaxBackground / 4 * 3;
        answer.MaxWrite = FuseSession.MaxDataBytes;
        answer.MaxPages = (ushort)(FuseSession.MaxDataBytes / PageMemory.PageSize);
        answer.TimeGranularity = 1;
        // One level: the backing file of a passthrough file may not lie on a stacked file system itself.
        answer.MaxStackDepth = agreed.HasFlag(InitFlags.Passthrough) ? 1u : 0;
        replyLength = Marshal.SizeOf<InitOut>();
        MemoryMarshal.Write(reply, in answer);
        negotiation = new FuseNegotiation(answer.Minor, (ulong)agreed, answer.MaxWrite, answer.MaxReadAhead);
        return Errno.None;
    }
}
