using LoopDaemon.Daemon.Survival;
using LoopDaemon.Devices;
using LoopDaemon.Fuse;
using LoopDaemon.Linux;

namespace LoopDaemon.Daemon;

/// <summary>Decides for each open of one device, or of one partition, how its reads and writes go: by the kernel straight on
/// the backing file (passthrough), to the daemon past the page cache, or to the daemon through it.
///
/// A device goes one way at a time, so that all who have it open see the same bytes: the kernel refuses to mix passthrough
/// with anything else, and past and through the cache do not see each other's data on every kernel (before Linux 6.6 a
/// FOPEN_DIRECT_IO write leaves stale pages behind). The first opener decides. Where the file can be passed through, it is;
/// otherwise O_DIRECT goes past the cache (writing in parallel), and everybody else with it as long as it is open. While a
/// device is open through the cache, O_DIRECT is left to the kernel, which then keeps the cache coherent.</summary>
internal sealed class IoMode(KernelPassthrough passthrough, OpenLedger ledger, ulong node)
{
    private const int NoEntry = -1;

    /// <summary>No file system's time stamps are coarser than FAT's: a file that changed longer ago shows its next change.</summary>
    private static readonly TimeSpan TimeStampGrain = TimeSpan.FromSeconds(2);

    private readonly Lock _gate = new();
    private OpenCounts _counts;
    private int _entry = NoEntry;
    private bool _passedWriter;

    /// <summary>The page cache may hold what the file no longer does. Each open drops it, until all of these are closed: only
    /// then has the kernel dropped it for certain.</summary>
    private bool _stale = true;

    /// <summary>When the backing file was last changed, as of the last close; null where that does not tell.</summary>
    private long? _leftModifiedNs;

    /// <summary>Goes on with what another daemon has counted.</summary>
    internal static IoMode Resume(KernelPassthrough passthrough, OpenLedger ledger, ulong node, int entry, in OpenCounts counts) =>
        new(passthrough, ledger, node) { _counts = counts, _entry = entry, _passedWriter = counts.Passed > 0 };

    /// <summary>Counts an open.</summary>
    /// <param name="request">The request.</param>
    /// <param name="device">The device; it is bound.</param>
    /// <param name="partition">The partition; 0 is the whole device.</param>
    /// <param name="wantsDirect">Whether the opener gave O_DIRECT.</param>
    /// <param name="writes">Whether it may write.</param>
    /// <param name="truncates">Whether it gave O_TRUNC.</param>
    /// <param name="reply">Takes what to tell the kernel.</param>
    /// <returns>EBUSY where the open must be refused, ENFILE where too much is open.</returns>
    internal Errno TryOpen(
        in FuseRequest request, LoopDevice device, int partition, bool wantsDirect, bool writes, bool truncates, ref OpenReply reply)
    {
        lock (_gate)
        {
            OpenCounts counts = _counts;
            // The kernel takes an open with O_TRUNC for an empty file until it next asks for the size (here it is ignored,
            // as by a block device), and answers direct reads past that size by itself: those of others would fail.
            if (truncates && counts.Direct + counts.Passed > 0)
                return Errno.EBUSY;
            if (_entry == NoEntry && (_entry = ledger.Take(node)) == NoEntry)
                return Errno.ENFILE;
            // With passthrough the kernel opens the backing file with O_TRUNC too, and some file systems (NFS, FUSE) obey.
            if (counts.Passed > 0 || (counts.Total == 0 && partition == 0 && !truncates && passthrough.TryBegin(device, out counts.BackingId)))
            {
                counts.Passed++;
                _passedWriter |= writes;
                _stale |= writes;
                reply.Modes = OpenModes.Passthrough;
                reply.BackingId = counts.BackingId;
            }
            else if (counts.Cached == 0 && (wantsDirect || counts.Direct > 0))
            {
                counts.Direct++;
                _stale |= writes;
                reply.Modes = OpenModes.DirectIo | OpenModes.ParallelDirectWrites;
            }
            else
            {
                _stale |= counts.Cached == 0 && !IsAsLeft(device);
                counts.Cached++;
                reply.Modes = _stale ? OpenModes.None : OpenModes.KeepCache;
            }
            Count(in request, in counts, reply.Modes);
            return Errno.None;
        }
    }

    /// <summary>Counts a close.</summary>
    /// <param name="request">The request.</param>
    /// <param name="device">The device.</param>
    /// <param name="modes">What the open was told.</param>
    internal void Close(in FuseRequest request, LoopDevice device, OpenModes modes)
    {
        lock (_gate)
        {
            OpenCounts counts = _counts;
            if (modes.HasFlag(OpenModes.Passthrough))
            {
                if (counts.Passed == 0)
                    return;
                counts.Passed--;
            }
            else if (modes.HasFlag(OpenModes.DirectIo))
            {
                if (counts.Direct == 0)
                    return;
                counts.Direct--;
            }
            else
            {
                if (counts.Cached == 0)
                    return;
                counts.Cached--;
            }
            if (_counts.Passed > 0 && counts.Passed == 0)
            {
                passthrough.End(device, counts.BackingId, _passedWriter);
                counts.BackingId = 0;
                _passedWriter = false;
            }
            if (_counts.Cached > 0 && counts.Cached == 0)
            {
                _stale = false;
                _leftModifiedNs = device.Binding?.BackingModifiedNs() is { } modified && IsLongAgo(modified) ? modified : null;
            }
            Count(in request, in counts, OpenModes.None);
        }
    }

    private void Count(in FuseRequest request, in OpenCounts counts, OpenModes modes)
    {
        ledger.Count(_entry, in counts, in request, modes);
        _counts = counts;
        if (counts.Total > 0)
            return;
        ledger.Return(_entry);
        _entry = NoEntry;
    }

    private static bool IsLongAgo(long timeNs) =>
        DateTime.UtcNow - DateTime.UnixEpoch.AddTicks(timeNs / TimeSpan.NanosecondsPerTick) > TimeStampGrain;

    /// <summary>Whether nobody has changed the backing file since the last close.</summary>
    private bool IsAsLeft(LoopDevice device) =>
        _leftModifiedNs is { } left && device.Binding?.BackingModifiedNs() == left;
}
