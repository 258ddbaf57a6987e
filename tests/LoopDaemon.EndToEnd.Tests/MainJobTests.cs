namespace LoopDaemon.EndToEnd.Tests;

/// <summary>The main job, with no daemon running beforehand, as the README shows it.</summary>
public sealed class MainJobTests
{
    [Fact]
    public void A_device_is_bound_shown_and_cleared()
    {
        using var loopd = new Loopd("--max-loop", "4");
        string image = loopd.MakeFile("disk.img", 1 << 20);
        string device = loopd.Bind(image);
        Assert.Equal(loopd.Device(0), device);
        Shell.Run("cmp", image, device).Succeeded();
        loopd.Control("-d", device).Succeeded();
        Assert.Equal(0, new FileInfo(device).Length);
        Assert.Equal(0, loopd.Stop());
        Assert.False(Directory.Exists(loopd.Mount));
    }
}
