namespace LoopDaemon.Storage.Tests;

public sealed class StripedRangeLockTests
{
    private const long Stripe = 1 << 20;

    [Theory]
    [InlineData(0, 1, 1UL)]
    [InlineData(0, Stripe, 1UL)]
    [InlineData(0, Stripe + 1, 3UL)]
    [InlineData(Stripe - 1, 2, 3UL)]
    [InlineData(63 * Stripe, Stripe, 1UL << 63)]
    [InlineData(64 * Stripe, 1, 1UL)]
    [InlineData(64 * Stripe - 1, 2, (1UL << 63) | 1)]
    [InlineData(1, 63 * Stripe, ulong.MaxValue)]
    [InlineData(5 * Stripe, 1000 * Stripe, ulong.MaxValue)]
    public void A_range_has_a_lock_for_each_of_its_stripes(long offset, long length, ulong locks) =>
        Assert.Equal(locks, StripedRangeLock.LocksOf(offset, length));

    [Fact]
    public async Task Exclusive_waits_for_shared_on_the_same_stripe_only()
    {
        using var ranges = new StripedRangeLock();
        Task sameStripe;
        using (ranges.Enter(0, 512, exclusive: false))
        {
            using (ranges.Enter(Stripe, 512, exclusive: true))
            {
                // Another stripe, so no wait.
            }
            sameStripe = Task.Run(() => ranges.Enter(1024, 512, exclusive: true).Dispose(), TestContext.Current.CancellationToken);
            Thread.Sleep(50);
            Assert.False(sameStripe.IsCompleted);
        }
        await sameStripe;
    }

    [Fact]
    public void Crossing_ranges_on_many_threads_end()
    {
        using var ranges = new StripedRangeLock();
        int inside = 0;
        Parallel.For(0, 8, worker =>
        {
            var random = new Random(worker);
            for (int i = 0; i < 5000; i++)
            {
                bool exclusive = random.Next(2) == 0;
                // Around lock 63, where the order of stripes and that of locks differ; stripe 64 is in all.
                long first = random.Next(60, 65) * Stripe;
                using StripedRangeLock.Hold hold = ranges.Enter(first, (65 * Stripe) - first, exclusive);
                if (exclusive)
                    Assert.Equal(1, Interlocked.Increment(ref inside));
                else
                    Assert.Equal(0, Volatile.Read(ref inside));
                if (exclusive)
                    Interlocked.Decrement(ref inside);
            }
        });
    }
}
