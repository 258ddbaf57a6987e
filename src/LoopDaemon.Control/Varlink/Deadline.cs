namespace LoopDaemon.Control.Varlink;

/// <summary>A point in time until which something may take, on the clock that nobody sets.</summary>
internal readonly struct Deadline
{
    private readonly long _atTicks;

    private Deadline(long atTicks) => _atTicks = atTicks;

    /// <summary>Never.</summary>
    internal static Deadline Never => new(long.MaxValue);

    /// <summary>What poll(2) takes: -1 for ever, 0 when the time is up.</summary>
    internal int RemainingMilliseconds =>
        _atTicks == long.MaxValue ? -1 : (int)Math.Clamp(_atTicks - Environment.TickCount64, 0, int.MaxValue);

    /// <summary>From now on; <see cref="Timeout.InfiniteTimeSpan"/> is never.</summary>
    internal static Deadline After(TimeSpan time) =>
        time == Timeout.InfiniteTimeSpan ? Never : new(Environment.TickCount64 + (long)time.TotalMilliseconds);
}
