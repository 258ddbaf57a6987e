using System.Runtime.InteropServices;
using LoopDaemon.Fuse.Wire;
using LoopDaemon.Linux;

namespace LoopDaemon.Fuse.Engines;

/// <summary>Asks the kernel whether it still waits for the answer to a request. There is no call for it; but a bare reply with
/// an interrupt's id, which is that of the request it was for with the lowest bit set, has the kernel look the request up and
/// do nothing more (<c>fuse_dev_do_write</c> of Linux 5.4 to 6.18, fs/fuse/dev.c).</summary>
internal static class RequestProbe
{
    private const ulong InterruptBit = 1;

    /// <summary>Whether a request is unanswered.</summary>
    /// <returns>Null where the kernel does not tell.</returns>
    internal static bool? IsUnanswered(FuseConnection connection, ulong unique)
    {
        var probe = new OutHeader { Length = OutHeader.Size, Error = 0, Unique = unique | InterruptBit };
        Errno error = connection.Device.Write(MemoryMarshal.AsBytes(new ReadOnlySpan<OutHeader>(in probe)), out _);
        return error switch
        {
            Errno.None => true,
            Errno.ENOENT => false,
            _ => null,
        };
    }
}
