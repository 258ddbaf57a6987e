using LoopDaemon.Linux;

namespace LoopDaemon.Devices.Tests;

/// <summary>Sixteen threads that want the same thing at the same time.</summary>
public sealed class RaceTests
{
    private const int Threads = 16;

    [Fact]
    public void Every_thread_that_asks_for_any_device_gets_one_of_its_own()
    {
        using var bench = new Bench(maxLoop: Threads);
        string path = bench.MakeFile(512);
        for (int round = 0; round < 25; round++)
        {
            int[] numbers = AtOnce(_ => bench.Bind(Bench.Request(path)).Number);
            Assert.Equal(Enumerable.Range(0, Threads), numbers.Order());
            AtOnce(i => bench.Table.Get(i).Clear());
        }
        Assert.False(bench.Table.AnyBound);
    }

    [Fact]
    public void One_thread_alone_gets_a_given_device()
    {
        using var bench = new Bench();
        string path = bench.MakeFile(512);
        for (int round = 0; round < 25; round++)
        {
            Errno[] results = AtOnce(_ => Try(() => bench.Bind(Bench.Request(path), number: 1)));
            Assert.Single(results, Errno.None);
            Assert.Equal(Threads - 1, results.Count(result => result == Errno.EBUSY));
            Assert.Single(AtOnce(_ => Try(() => bench.Table.Get(1).Clear())), Errno.None);
        }
    }

    [Fact]
    public void Binds_that_fail_take_no_device_from_those_that_do_not()
    {
        using var bench = new Bench(maxLoop: Threads);
        string path = bench.MakeFile(512);
        for (int round = 0; round < 25; round++)
        {
            // Every second one is refused after it has reserved a device.
            AtOnce(i => Try(() => bench.Bind(Bench.Request(path) with { SectorBytes = 512 + i % 2 })));
            Assert.Equal(Threads / 2, bench.Table.Devices.Count(device => device.Binding is not null));
            foreach (LoopDevice device in bench.Table.Devices.Where(device => device.Binding is not null))
                device.Clear();
        }
    }

    [Fact]
    public void Devices_that_are_removed_while_they_are_bound_are_bound_or_refused_as_busy()
    {
        using var bench = new Bench(maxLoop: 1);
        string path = bench.MakeFile(512);
        for (int round = 0; round < 25; round++)
        {
            Errno[] results = AtOnce(i => i % 2 == 0
                ? Try(() => bench.Bind(Bench.Request(path), number: 7).Clear())
                : Try(() => bench.Table.Remove(7)));
            Assert.All(results, (result, i) => Assert.Contains(result, i % 2 == 0 ? [Errno.None, Errno.EBUSY] : (Errno[])[Errno.None, Errno.EBUSY, Errno.ENODEV]));
            Assert.Contains(Errno.None, results.Where((_, i) => i % 2 == 0));
            Assert.False(bench.Table.AnyBound);
        }
    }

    /// <summary>Whoever could open the device reads it, however the clear falls in between.</summary>
    [Fact]
    public void A_clear_never_takes_the_file_from_an_opener()
    {
        using var bench = new Bench();
        string path = bench.MakeFile(512);
        for (int round = 0; round < 100; round++)
        {
            bench.Changes.Clear();
            LoopDevice device = bench.Bind(Bench.Request(path), number: 0);
            AtOnce(i =>
            {
                if (i == 0)
                    return Try(() => device.Clear());
                if (device.Open(0, forWriting: false) != Errno.None)
                    return Errno.ENXIO;
                Assert.Equal(Errno.None, device.Read(0, 0, new byte[512], out int count));
                Assert.Equal(512, count);
                device.Close(0);
                return Errno.None;
            });
            Assert.Null(device.Binding);
            Assert.Equal(0, device.Openers);
            // However the two meet, it goes once, and nothing is told of it afterwards.
            DeviceChange[] changes = [.. bench.Changes.Select(change => change.Change)];
            Assert.True(changes is [DeviceChange.Bound, DeviceChange.Cleared] or [DeviceChange.Bound, DeviceChange.StatusChanged, DeviceChange.ClearedAtLastClose],
                string.Join(", ", changes));
        }
    }

    private static Errno Try(Action action)
    {
        try
        {
            action();
            return Errno.None;
        }
        catch (LinuxException refused)
        {
            return refused.Errno;
        }
    }

    private static T[] AtOnce<T>(Func<int, T> action)
    {
        var results = new T[Threads];
        var failures = new List<Exception>();
        using var start = new Barrier(Threads);
        Thread[] threads = [.. Enumerable.Range(0, Threads).Select(i => new Thread(() =>
        {
            start.SignalAndWait();
            try
            {
                results[i] = action(i);
            }
            catch (Exception failure)
            {
                lock (failures)
                    failures.Add(failure);
            }
        }))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        Assert.Empty(failures);
        return results;
    }
}
