using LoopDaemon.Control;

namespace LoopDaemon.CommandLine.Tests;

/// <summary>The line of losetup -a.</summary>
public sealed class LegacyLineTests : IDisposable
{
    private static readonly TransferDescription[] Known =
    [
        new("identity", "", NeedsKey: false, 0), new("xor", "", NeedsKey: true, 1), new("aes", "", NeedsKey: true, 16), new("newer", "", NeedsKey: true),
    ];

    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Theory]
    [InlineData()]
    [InlineData("-o", "4096")]
    [InlineData("--sizelimit", "100000")]
    [InlineData("-o", "512", "--sizelimit", "7E", "-r")]
    public void A_plain_device_has_losetups_line(params string[] options)
    {
        foreach (string name in (string[])["disk.img", "two\nlines (and brackets)", "größe"])
        {
            using KernelDevice device = KernelDevice.Attach(_directory.MakeFile(name), options);
            Assert.Equal(ProgramRun.Of(ProgramRun.Losetup, device.Path).Succeeded().Output, LegacyLine.Of(device.Status, []) + "\n");
        }
    }

    [Theory]
    [InlineData("", "")]
    [InlineData("identity", "")]
    [InlineData("xor", ", encryption XOR (type 1)")]
    [InlineData("aes", ", encryption aes (type 16)")]
    [InlineData("newer", ", encryption newer (type 18)")]
    [InlineData("xor xor", ", encryption xor+xor (type 1)")]
    [InlineData("aes xor", ", encryption aes+xor (type 16)")]
    [InlineData("identity aes", ", encryption identity+aes (type 0)")]
    public void Transfers_are_shown_as_losetup_showed_them_when_it_had_any(string transfers, string shown)
    {
        using KernelDevice device = KernelDevice.Attach(_directory.MakeFile("disk.img"), "-o", "512");
        string line = LegacyLine.Of(device.Status with { Transfers = transfers.Split(' ', StringSplitOptions.RemoveEmptyEntries) }, Known);
        Assert.EndsWith("/disk.img), offset 512" + shown, line, StringComparison.Ordinal);
    }
}
