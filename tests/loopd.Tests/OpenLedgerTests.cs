using LoopDaemon.Daemon.Survival;
using LoopDaemon.Fuse;

namespace LoopDaemon.Daemon.Tests;

public sealed class OpenLedgerTests
{
    private const ulong Resent = 1UL << 63;

    [Fact]
    public void The_next_ledger_finds_what_is_open()
    {
        using var ledger = new OpenLedger();
        int first = ledger.Take(1000), second = ledger.Take(2000), closed = ledger.Take(3000);
        ledger.Count(first, new OpenCounts { Cached = 1 }, Request(1));
        ledger.Count(first, new OpenCounts { Cached = 1, Direct = 1 }, Request(2));
        ledger.Count(second, new OpenCounts { Passed = 3, BackingId = 9 }, Request(3));
        ledger.Count(closed, new OpenCounts { Cached = 1 }, Request(4));
        ledger.Count(closed, default, Request(5));
        using var next = new OpenLedger(ledger.File.Duplicate());
        Assert.Equal(
            [(1000UL, new OpenCounts { Cached = 1, Direct = 1 }), (2000UL, new OpenCounts { Passed = 3, BackingId = 9 })],
            next.Open.OrderBy(open => open.Node).Select(open => (open.Node, open.Counts)));
        // An entry that nobody has open is free again, and no other.
        int[] taken = [.. Enumerable.Range(0, 32 * 1024 - 2).Select(_ => next.Take(1))];
        Assert.DoesNotContain(-1, taken);
        Assert.Contains(closed, taken);
        Assert.DoesNotContain(first, taken);
        Assert.Equal(-1, next.Take(1));
        next.Return(closed);
        Assert.Equal(closed, next.Take(1));
    }

    [Fact]
    public void A_request_that_comes_again_was_counted_if_it_was()
    {
        using var ledger = new OpenLedger();
        int entry = ledger.Take(1000);
        FuseRequest request = Request(77, slot: 4);
        Assert.False(ledger.IsCounted(request, out _, out _));
        ledger.Count(entry, new OpenCounts { Passed = 1, BackingId = 12 }, request, OpenModes.Passthrough);
        using var next = new OpenLedger(ledger.File.Duplicate());
        Assert.True(next.IsCounted(request with { Unique = 77 | Resent }, out OpenModes modes, out int backing));
        Assert.Equal((OpenModes.Passthrough, 12), (modes, backing));
        // Another one, in the same slot or the same one in another.
        Assert.False(next.IsCounted(Request(78, slot: 4), out _, out _));
        Assert.False(next.IsCounted(Request(77, slot: 5), out _, out _));
        Assert.False(next.IsCounted(Request(77, slot: -1), out _, out _));
    }

    /// <summary>What the slot holds is of a request that was answered: the next in the slot takes its place.</summary>
    [Fact]
    public void A_slot_holds_its_last_request()
    {
        using var ledger = new OpenLedger();
        int entry = ledger.Take(1000);
        ledger.Count(entry, new OpenCounts { Cached = 1 }, Request(1, slot: 0));
        ledger.Count(entry, new OpenCounts { Cached = 2 }, Request(2, slot: 1));
        ledger.Count(entry, new OpenCounts { Cached = 3 }, Request(3, slot: 0));
        Assert.False(ledger.IsCounted(Request(1, slot: 0), out _, out _));
        Assert.True(ledger.IsCounted(Request(2, slot: 1), out _, out _));
        Assert.True(ledger.IsCounted(Request(3, slot: 0), out _, out _));
    }

    private static FuseRequest Request(ulong unique, int slot = 0) => new(unique, 1000, 0, 0, 0, slot);
}
