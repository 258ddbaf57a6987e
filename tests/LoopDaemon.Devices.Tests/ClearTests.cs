using LoopDaemon.Linux;

namespace LoopDaemon.Devices.Tests;

/// <summary>LOOP_CLR_FD and autoclear: nothing is taken from whoever has the device open.</summary>
public sealed class ClearTests
{
    [Fact]
    public void A_cleared_device_is_unbound_and_its_file_closed()
    {
        using var bench = new Bench();
        BindRequest request = Bench.Request(bench.MakeFile(512));
        LoopDevice device = bench.Bind(request);
        Assert.False(device.Clear());
        Assert.Null(device.Binding);
        Assert.True(request.BackingFile.IsClosed);
        Assert.False(bench.Table.AnyBound);
    }

    [Fact]
    public void Clearing_an_unbound_device_is_ENXIO()
    {
        using var bench = new Bench();
        LoopDevice device = bench.Table.Get(3);
        var refused = Assert.Throws<LinuxException>(() => device.Clear());
        Assert.Equal((Errno.ENXIO, "loop3 is not bound to a file"), (refused.Errno, refused.Message));
    }

    [Fact]
    public void Clearing_an_open_device_waits_for_the_last_close()
    {
        using var bench = new Bench();
        LoopDevice device = bench.Bind(4096);
        device.Open(0, forWriting: false);
        device.Open(0, forWriting: true);
        Assert.True(device.Clear());
        Assert.True(device.IsAutoclear);
        Assert.True(device.Clear());
        device.Close(0);
        Assert.Equal(1, device.Openers);
        Assert.Equal(Errno.None, device.Read(0, 0, new byte[512], out int count));
        Assert.Equal(512, count);
        // That it is to go is told once.
        Assert.Equal([DeviceChange.Bound, DeviceChange.StatusChanged], bench.Changes.Select(change => change.Change));
        device.Close(0);
        Assert.Equal(DeviceChange.ClearedAtLastClose, bench.Changes[^1].Change);
        Assert.Null(device.Binding);
        Assert.False(device.IsAutoclear);
        Assert.Throws<LinuxException>(() => device.Clear());
    }

    [Fact]
    public void A_device_that_waits_for_its_last_close_can_still_be_opened()
    {
        using var bench = new Bench();
        LoopDevice device = bench.Bind(4096);
        device.Open(0, forWriting: false);
        device.Clear();
        Assert.Equal(Errno.None, device.Open(0, forWriting: true));
        device.Close(0);
        Assert.NotNull(device.Binding);
        device.Close(0);
        Assert.Null(device.Binding);
    }

    [Fact]
    public void Autoclear_takes_the_device_at_its_last_close_and_not_before_it_was_open()
    {
        using var bench = new Bench();
        LoopDevice device = bench.Bind(Bench.Request(bench.MakeFile(512)) with { Autoclear = true });
        Assert.NotNull(device.Binding);
        device.Open(0, forWriting: false);
        device.Close(0);
        Assert.Null(device.Binding);
        Assert.False(bench.Bind(512, device.Number).IsAutoclear);
    }

    [Fact]
    public void A_close_too_many_is_harmless()
    {
        using var bench = new Bench();
        LoopDevice device = bench.Bind(Bench.Request(bench.MakeFile(512)) with { Autoclear = true });
        device.Close(0);
        Assert.Equal(0, device.Openers);
        Assert.NotNull(device.Binding);
    }

    [Fact]
    public void Every_bind_and_clear_is_told_once()
    {
        using var bench = new Bench();
        LoopDevice device = bench.Bind(512);
        Binding first = device.Binding!;
        device.Clear();
        device = bench.Bind(Bench.Request(bench.MakeFile(512)) with { Autoclear = true });
        Binding second = device.Binding!;
        device.Open(0, forWriting: false);
        device.Close(0);
        Assert.Equal(
            [(first, DeviceChange.Bound), (first, DeviceChange.Cleared), (second, DeviceChange.Bound), (second, DeviceChange.ClearedAtLastClose)],
            bench.Changes.Select(change => (change.Binding, change.Change)));
    }

    [Fact]
    public void An_unbound_device_cannot_be_opened()
    {
        using var bench = new Bench();
        Assert.Equal(Errno.ENXIO, bench.Table.Get(0).Open(0, forWriting: false));
        Assert.Equal(0, bench.Table.Get(0).Openers);
    }
}
