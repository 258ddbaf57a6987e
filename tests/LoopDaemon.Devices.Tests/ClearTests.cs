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
        Assert.False(DeviceTable.Clear(device));
        Assert.Null(device.Binding);
        Assert.True(request.BackingFile.IsClosed);
        Assert.False(bench.Table.AnyBound);
    }

    [Fact]
    public void Clearing_an_unbound_device_is_ENXIO()
    {
        using var bench = new Bench();
        LoopDevice device = bench.Table.Devices[3];
        var refused = Assert.Throws<LinuxException>(() => DeviceTable.Clear(device));
        Assert.Equal((Errno.ENXIO, "loop3 is not bound to a file"), (refused.Errno, refused.Message));
    }

    [Fact]
    public void Clearing_an_open_device_waits_for_the_last_close()
    {
        using var bench = new Bench();
        LoopDevice device = bench.Bind(4096);
        device.Open(forWriting: false);
        device.Open(forWriting: true);
        Assert.True(DeviceTable.Clear(device));
        Assert.True(device.IsAutoclear);
        Assert.True(DeviceTable.Clear(device));
        device.Close();
        Assert.Equal(1, device.Openers);
        Assert.Equal(Errno.None, device.Read(0, new byte[512], out int count));
        Assert.Equal(512, count);
        Assert.Single(bench.Changes);
        device.Close();
        Assert.Null(device.Binding);
        Assert.False(device.IsAutoclear);
        Assert.Throws<LinuxException>(() => DeviceTable.Clear(device));
    }

    [Fact]
    public void A_device_that_waits_for_its_last_close_can_still_be_opened()
    {
        using var bench = new Bench();
        LoopDevice device = bench.Bind(4096);
        device.Open(forWriting: false);
        DeviceTable.Clear(device);
        Assert.Equal(Errno.None, device.Open(forWriting: true));
        device.Close();
        Assert.NotNull(device.Binding);
        device.Close();
        Assert.Null(device.Binding);
    }

    [Fact]
    public void Autoclear_takes_the_device_at_its_last_close_and_not_before_it_was_open()
    {
        using var bench = new Bench();
        LoopDevice device = bench.Bind(Bench.Request(bench.MakeFile(512)) with { Autoclear = true });
        Assert.NotNull(device.Binding);
        device.Open(forWriting: false);
        device.Close();
        Assert.Null(device.Binding);
        Assert.False(bench.Bind(512, device.Number).IsAutoclear);
    }

    [Fact]
    public void A_close_too_many_is_harmless()
    {
        using var bench = new Bench();
        LoopDevice device = bench.Bind(Bench.Request(bench.MakeFile(512)) with { Autoclear = true });
        device.Close();
        Assert.Equal(0, device.Openers);
        Assert.NotNull(device.Binding);
    }

    [Fact]
    public void Every_bind_and_clear_is_told_once()
    {
        using var bench = new Bench();
        LoopDevice device = bench.Bind(512);
        Binding first = device.Binding!;
        DeviceTable.Clear(device);
        device = bench.Bind(Bench.Request(bench.MakeFile(512)) with { Autoclear = true });
        Binding second = device.Binding!;
        device.Open(forWriting: false);
        device.Close();
        Assert.Equal(
            [(first, DeviceChange.Bound), (first, DeviceChange.Cleared), (second, DeviceChange.Bound), (second, DeviceChange.ClearedAtLastClose)],
            bench.Changes.Select(change => (change.Binding, change.Change)));
    }

    [Fact]
    public void An_unbound_device_cannot_be_opened()
    {
        using var bench = new Bench();
        Assert.Equal(Errno.ENXIO, bench.Table.Devices[0].Open(forWriting: false));
        Assert.Equal(0, bench.Table.Devices[0].Openers);
    }
}
