using System.Numerics;

namespace LoopDaemon.Storage;

/// <summary>Locks ranges of a store, shared or exclusively, without memory for each: the store is laid out in stripes
/// of 1 MiB, and every 64th stripe shares a lock.</summary>
internal sealed class StripedRangeLock : IDisposable
{
    private const int StripeShift = 20;
    private const int LockCount = 64;

    private readonly ReaderWriterLockSlim[] _locks = new ReaderWriterLockSlim[LockCount];

    internal StripedRangeLock()
    {
        for (int i = 0; i < LockCount; i++)
            _locks[i] = new ReaderWriterLockSlim(LockRecursionPolicy.NoRecursion);
    }

    /// <summary>Waits for a range; the hold's disposal, by the same thread, gives it free.</summary>
    /// <param name="offset">Where the range begins, in bytes.</param>
    /// <param name="length">Its length in bytes, at least 1.</param>
    /// <param name="exclusive">Alone, or along with others that share.</param>
    internal Hold Enter(long offset, long length, bool exclusive)
    {
        var hold = new Hold(_locks, LocksOf(offset, length), exclusive);
        hold.Enter();
        return hold;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (ReaderWriterLockSlim one in _locks)
            one.Dispose();
    }

    /// <summary>The locks of a range, one bit for each.</summary>
    internal static ulong LocksOf(long offset, long length)
    {
        long first = offset >> StripeShift;
        long count = ((offset + length - 1) >> StripeShift) - first + 1;
        return count >= LockCount
            ? ulong.MaxValue
            : BitOperations.RotateLeft((1UL << (int)count) - 1, (int)(first % LockCount));
    }

    /// <summary>A range that is locked.</summary>
    internal readonly ref struct Hold(ReaderWriterLockSlim[] locks, ulong held, bool exclusive)
    {
        /// <summary>Takes the lowest bit first: as all threads do so, none waits for another in a circle.</summary>
        internal void Enter()
        {
            for (ulong rest = held; rest != 0; rest &= rest - 1)
            {
                ReaderWriterLockSlim one = locks[BitOperations.TrailingZeroCount(rest)];
                if (exclusive)
                    one.EnterWriteLock();
                else
                    one.EnterReadLock();
            }
        }

        public void Dispose()
        {
            for (ulong rest = held; rest != 0; rest &= rest - 1)
            {
                ReaderWriterLockSlim one = locks[BitOperations.TrailingZeroCount(rest)];
                if (exclusive)
                    one.ExitWriteLock();
                else
                    one.ExitReadLock();
            }
        }
    }
}
