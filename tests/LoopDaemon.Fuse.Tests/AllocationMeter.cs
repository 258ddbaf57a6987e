namespace LoopDaemon.Fuse.Tests;

/// <summary>Adds up what threads allocate between their first and their last call.</summary>
internal sealed class AllocationMeter
{
    [ThreadStatic]
    private static int _place;

    private readonly Count[] _counts = new Count[64];
    private int _threads;

    /// <summary>How many calls there were.</summary>
    internal int Requests => _counts.Sum(count => count.Calls);

    /// <summary>How many bytes were allocated on the way.</summary>
    internal long Bytes => _counts.Sum(count => count.Last - count.First);

    internal void Measure()
    {
        if (_place == 0)
            _place = Interlocked.Increment(ref _threads);
        ref Count count = ref _counts[_place];
        count.Last = GC.GetAllocatedBytesForCurrentThread();
        if (count.Calls++ == 0)
            count.First = count.Last;
    }

    private struct Count
    {
        public int Calls;
        public long First;
        public long Last;
    }
}
