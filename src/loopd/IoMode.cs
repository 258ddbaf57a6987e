using LoopDaemon.Devices;
using LoopDaemon.Fuse;

namespace LoopDaemon.Daemon;

/// <summary>Decides for each open of one device, or of one partition, how its reads and writes go: by the kernel straight on
/// the backing file (passthrough), to the daemon past the page cache, or to the daemon through it.
///
/// A device goes one way at a time, so that all who have it open see the same bytes: the kernel refuses to mix passthrough
/// with anything else, and past and through the cache do not see each other's data on every kernel (before Linux 6.6 a
/// FOPEN_DIRECT_IO write leaves stale pages behind). The first opener decides. Where the file can be passed through, it is;
/// otherwise O_DIRECT goes past the cache (writing in parallel), and everybody else with it as long as it is open. While a
/// device is open through the cache, O_DIRECT is left to the kernel, which then keeps the cache coherent.</summary>
internal sealed class IoMode(KernelPassthrough passthrough)
{
    /// <summary>No file system's time stamps are coarser than FAT's: a file that changed longer ago shows its next change.</summary>
    private static readonly TimeSpan TimeStampGrain = TimeSpan.FromSeconds(2);

    private readonly Lock _gate = new();
    private int _cached;
    private int _direct;
    private int _passed;
    private int _backingId;
    private bool _passedWriter;

    /// <summary>The page cache may hold what the file no longer does. Each open drops it, until all of these are closed: only
    /// then has the kernel dropped it for certain.</summary>
    private bool _stale = true;

    /// <summary>When the backing file was last changed, as of the last close; null where that does not tell.</summary>
    private long? _leftModifiedNs;

    /// <summary>Counts an open.</summary>
    /// <param name="device">The device; it is bound.</param>
    /// <param name="partition">The partition; 0 is the whole device.</param>
    /// <param name="wantsDirect">Whether the opener gave O_DIRECT.</param>
    /// <param name="writes">Whether it may write.</param>
    /// <param name="truncates">Whether it gave O_TRUNC.</param>
    /// <param name="reply">Takes what to tell the kernel.</param>
    /// <returns>False where the open must be refused.</returns>
    internal bool TryOpen(LoopDevice device, int partition, bool wantsDirect, bool writes, bool truncates, ref OpenReply reply)
    {
        lock (_gate)
        {
            // The kernel takes an open with O_TRUNC for an empty file until it next asks for the size (here it is ignored,
            // as by a block device), and answers direct reads past that size by itself: those of others would fail.
            if (truncates && _direct + _passed > 0)
                return false;
            // With passthrough the kernel opens the backing file with O_TRUNC too, and some file systems (NFS, FUSE) obey.
            if (_passed > 0 || (_cached + _direct == 0 && partition == 0 && !truncates && passthrough.TryBegin(device, out _backingId)))
            {
                _passed++;
                _passedWriter |= writes;
                _stale |= writes;
                reply.Modes = OpenModes.Passthrough;
                reply.BackingId = _backingId;
            }
            else if (_cached == 0 && (wantsDirect || _direct > 0))
            {
                _direct++;
                _stale |= writes;
                reply.Modes = OpenModes.DirectIo | OpenModes.ParallelDirectWrites;
            }
            else
            {
                _stale |= _cached == 0 && !IsAsLeft(device);
                _cached++;
                reply.Modes = _stale ? OpenModes.None : OpenModes.KeepCache;
            }
            return true;
        }
    }

    /// <summary>Counts a close.</summary>
    /// <param name="device">The device.</param>
    /// <param name="modes">What the open was told.</param>
    internal void Close(LoopDevice device, OpenModes modes)
    {
        lock (_gate)
        {
            if (modes.HasFlag(OpenModes.Passthrough))
            {
                if (_passed == 0 || --_passed > 0)
                    return;
                passthrough.End(device, _backingId, _passedWriter);
                _passedWriter = false;
            }
            else if (modes.HasFlag(OpenModes.DirectIo))
            {
                if (_direct > 0)
                    _direct--;
            }
            else if (_cached > 0 && --_cached == 0)
            {
                _stale = false;
                _leftModifiedNs = device.Binding?.BackingModifiedNs() is { } modified && IsLongAgo(modified) ? modified : null;
            }
        }
    }

    private static bool IsLongAgo(long timeNs) =>
        DateTime.UtcNow - DateTime.UnixEpoch.AddTicks(timeNs / TimeSpan.NanosecondsPerTick) > TimeStampGrain;

    /// <summary>Whether nobody has changed the backing file since the last close.</summary>
    private bool IsAsLeft(LoopDevice device) =>
        _leftModifiedNs is { } left && device.Binding?.BackingModifiedNs() == left;
}
