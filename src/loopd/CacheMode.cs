using LoopDaemon.Fuse;

namespace LoopDaemon.Daemon;

/// <summary>Decides for each open of one device whether it goes through the kernel's page cache or past it.
///
/// Openers with O_DIRECT go past it (and write in parallel), others through it. The two do not see each other's data on
/// every kernel (before Linux 6.6 a FOPEN_DIRECT_IO write leaves stale pages behind), so a device is in one mode at a
/// time: while it is open past the cache, everybody is; while it is open through the cache, O_DIRECT is left to the
/// kernel, which then keeps the cache coherent. Pages from before a time past the cache are dropped by each open that follows
/// it, until all of these are closed: only then has the kernel dropped them for certain.</summary>
internal sealed class CacheMode
{
    private readonly Lock _gate = new();
    private int _cached;
    private int _direct;
    private bool _stale = true;

    /// <summary>Counts an open.</summary>
    /// <param name="wantsDirect">Whether the opener gave O_DIRECT.</param>
    /// <param name="writes">Whether it may write.</param>
    /// <param name="truncates">Whether it gave O_TRUNC.</param>
    /// <param name="modes">What to tell the kernel.</param>
    /// <returns>False where the open must be refused.</returns>
    internal bool TryOpen(bool wantsDirect, bool writes, bool truncates, out OpenModes modes)
    {
        lock (_gate)
        {
            bool direct = _cached == 0 && (wantsDirect || _direct > 0);
            modes = OpenModes.None;
            // The kernel takes an open with O_TRUNC for an empty file until it next asks for the size (here it is ignored,
            // as by a block device), and answers direct reads past that size by itself: those of others would fail.
            if (truncates && _direct > 0)
                return false;
            if (direct)
            {
                _direct++;
                _stale |= writes;
                modes = OpenModes.DirectIo | OpenModes.ParallelDirectWrites;
            }
            else
            {
                _cached++;
                modes = _stale ? OpenModes.None : OpenModes.KeepCache;
            }
            return true;
        }
    }

    /// <summary>Counts a close.</summary>
    /// <param name="direct">Whether the open was told <see cref="OpenModes.DirectIo"/>.</param>
    internal void Close(bool direct)
    {
        lock (_gate)
        {
            if (direct && _direct > 0)
                _direct--;
            else if (!direct && _cached > 0 && --_cached == 0)
                _stale = false;
        }
    }
}
