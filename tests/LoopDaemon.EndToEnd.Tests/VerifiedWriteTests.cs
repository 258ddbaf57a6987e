namespace LoopDaemon.EndToEnd.Tests;

/// <summary>fio writes blocks of mixed sizes that name themselves and hold their checksum, four jobs at a time, and reads
/// all of them back.</summary>
public sealed class VerifiedWriteTests
{
    private const int Jobs = 4;
    private const int BytesPerJob = 64 << 20;

    // Many small ones, and some as large as a request can be.
    private const string SectorSizes = "--rw=randwrite --bssplit=512/30:4k/40:20k/20:256k/7:1m/3";

    // One after the other, so that each begins within a sector, and with a queue the next is under way at the same time.
    private const string OddSizes = "--rw=write --bsrange=512-1m --bs_unaligned=1";

    [Theory]
    [InlineData("identity", "psync", SectorSizes)]
    [InlineData("passthrough", "psync", SectorSizes)]
    [InlineData("identity", "psync", OddSizes)]
    [InlineData("passthrough", "psync", OddSizes)]
    [InlineData("identity", "io_uring", SectorSizes)]
    [InlineData("passthrough", "io_uring", SectorSizes)]
    [InlineData("xor", "psync", SectorSizes)]
    [InlineData("xor", "psync", OddSizes)]
    [InlineData("xor", "io_uring", OddSizes)]
    public void Buffered_writes_read_back_right(string stack, string engine, string sizes) =>
        Check(stack, $"--ioengine={engine} {sizes}");

    [Theory]
    [InlineData("identity", "psync")]
    [InlineData("passthrough", "psync")]
    [InlineData("identity", "io_uring")]
    [InlineData("passthrough", "io_uring")]
    [InlineData("identity", "libaio")]
    [InlineData("passthrough", "libaio")]
    [InlineData("xor", "psync")]
    [InlineData("xor", "io_uring")]
    [InlineData("xor", "libaio")]
    public void Direct_writes_read_back_right(string stack, string engine) =>
        Check(stack, $"--ioengine={engine} --direct=1 {SectorSizes}");

    private static void Check(string stackName, string options)
    {
        Requirements.SkipUnlessInstalled("fio");
        using var loopd = new Loopd();
        TransferStack stack = TransferStack.Make(loopd, stackName);
        string device = loopd.Bind([.. stack.Arguments, loopd.MakeSparseFile("disk.img", Jobs * (long)BytesPerJob)]);
        string queue = options.Contains("psync", StringComparison.Ordinal) ? "" : "--iodepth=16";
        if (options.Contains("io_uring", StringComparison.Ordinal))
            SkipUnlessIoUring(loopd);

        Shell.Run(TimeSpan.FromSeconds(120), "fio",
        [
            "--name=verify", $"--filename={device}", "--verify=crc32c", "--verify_fatal=1", "--verify_state_save=0", "--verify_dump=0",
            $"--numjobs={Jobs}", $"--size={BytesPerJob}", $"--offset_increment={BytesPerJob}", "--thread", "--allow_file_create=0",
            "--randrepeat=1", "--group_reporting", .. $"{options} {queue}".Split(' ', StringSplitOptions.RemoveEmptyEntries),
        ]).Succeeded();

        Assert.Equal(0, loopd.Stop());
        Assert.DoesNotContain("failed", loopd.Log, StringComparison.Ordinal);
    }

    private static void SkipUnlessIoUring(Loopd loopd)
    {
        ShellResult probe = Shell.Run("fio", "--name=probe", $"--filename={loopd.MakeFile("probe", 4096)}", "--ioengine=io_uring", "--rw=read", "--bs=4k", "--size=4k");
        Assert.SkipUnless(probe.ExitCode == 0, "needs io_uring");
    }
}
