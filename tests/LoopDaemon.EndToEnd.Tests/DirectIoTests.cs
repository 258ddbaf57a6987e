using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>The backing file past the page cache.</summary>
public sealed class DirectIoTests : IClassFixture<SharedLoopd>, IDisposable
{
    private readonly Loopd _loopd;
    private readonly ControlClient _client;

    public DirectIoTests(SharedLoopd shared)
    {
        _loopd = shared.Fresh();
        _client = _loopd.Connect();
    }

    public void Dispose() => _client?.Dispose();

    [Theory]
    [InlineData("identity")]
    [InlineData("xor")]
    public void Aligned_requests_leave_nothing_in_the_page_cache(string stackName)
    {
        Requirements.SkipUnlessInstalled("fincore");
        TransferStack stack = TransferStack.Make(_loopd, stackName);
        byte[] data = File.ReadAllBytes(_loopd.MakeFile("data", 4 << 20));
        string image = _loopd.MakeSparseFile("disk.img", data.Length);
        Assert.SkipUnless(SystemCall.Open(image, OpenFlags.ReadWrite | FileDescriptor.Direct) == Errno.None, "needs a file system with direct I/O");
        string device = _loopd.Bind(["--direct-io=on", .. stack.Arguments, image]);
        Assert.True(_client.GetStatus(0).DirectIo);
        Shell.Bash($"dd if={_loopd.File("data")} of={device} bs=1M oflag=direct conv=notrunc status=none");
        Assert.Equal(0, CachedBytes(image));
        Shell.Bash($"dd if={device} bs=1M iflag=direct status=none | cmp - {_loopd.File("data")}");
        Assert.Equal(0, CachedBytes(image));
        Assert.Equal(data, stack.Decode(File.ReadAllBytes(image)));
    }

    [Fact]
    public void It_is_switched_under_load_and_nothing_is_lost()
    {
        Requirements.SkipUnlessInstalled("fio");
        TransferStack stack = TransferStack.Make(_loopd, "xor");
        string image = _loopd.MakeSparseFile("disk.img", 64 << 20);
        string device = _loopd.Bind([.. stack.Arguments, image]);
        using var done = new CancellationTokenSource();
        int switches = 0;
        var switching = new Thread(() =>
        {
            using ControlClient client = _loopd.Connect();
            while (!done.IsCancellationRequested)
            {
                client.SetDirectIo(0, switches++ % 2 == 0);
                Thread.Sleep(3);
            }
        });
        switching.Start();
        try
        {
            // Of every length and alignment, so that both ways are taken at the same time.
            Shell.Run("fio", "--name=mixed", $"--filename={device}", "--rw=randwrite", "--bsrange=512-64k", "--blockalign=512",
                "--size=32m", "--io_size=64m", "--verify=crc32c", "--verify_fatal=1", "--verify_state_save=0", "--do_verify=1", "--direct=1", "--ioengine=psync").Succeeded();
        }
        finally
        {
            done.Cancel();
            switching.Join();
        }
        Assert.True(switches > 10, $"{switches} switches");
        Assert.Equal(stack.Decode(File.ReadAllBytes(image)), File.ReadAllBytes(device));
    }

    [Fact]
    public void A_file_that_ends_within_a_block_is_read_and_written_to_its_end()
    {
        byte[] data = File.ReadAllBytes(_loopd.MakeFile("data", 4096 * 3 + 1536));
        string image = _loopd.MakeFile("disk.img", data);
        string device = _loopd.Bind("--direct-io=on", image);
        Assert.Equal(data, File.ReadAllBytes(device));
        using (FileDescriptor file = FileDescriptor.Open(device, OpenFlags.ReadWrite))
            Assert.Equal(Errno.None, file.WriteAt(4096 * 3 + 1000, new byte[536]));
        data.AsSpan(4096 * 3 + 1000).Clear();
        Assert.Equal(data, File.ReadAllBytes(image));
    }

    [Fact]
    public void Where_the_file_system_refuses_it_the_device_is_bound_with_a_warning()
    {
        Requirements.SkipUnlessKernelLoop();
        Requirements.SkipUnlessFileSystem("squashfs");
        Requirements.SkipUnlessInstalled("mksquashfs");
        string folder = _loopd.File("folder");
        Directory.CreateDirectory(folder);
        File.WriteAllBytes(Path.Combine(folder, "disk.img"), new byte[8192]);
        Shell.Run("mksquashfs", folder, _loopd.File("sq.img"), "-quiet", "-noappend").Succeeded();
        using var directory = new MountDirectory(_loopd);
        Shell.Run("mount", "-o", "loop,ro", _loopd.File("sq.img"), directory.Path).Succeeded();
        string image = Path.Combine(directory.Path, "disk.img");

        ConfigureReply bound = _client.Configure(image, request => request with { DirectIo = true }, OpenFlags.ReadOnly);
        string warning = Assert.Single(bound.Warnings);
        Assert.Contains(image, warning, StringComparison.Ordinal);
        Assert.Contains("direct I/O", warning, StringComparison.Ordinal);
        Assert.False(_client.GetStatus(0).DirectIo);
        ControlException refused = Assert.Throws<ControlException>(() => _client.SetDirectIo(0, true));
        Assert.Equal(Errno.EINVAL, refused.Errno);
        Assert.Contains(image, refused.Message, StringComparison.Ordinal);
        _client.SetDirectIo(0, false);
        _client.Clear(0);
    }

    [Fact]
    public void An_offset_that_no_aligned_request_could_have_is_refused()
    {
        string image = _loopd.MakeFile("disk.img", 1 << 20);
        Assert.SkipUnless(SystemCall.Open(image, OpenFlags.ReadWrite | FileDescriptor.Direct) == Errno.None, "needs a file system with direct I/O");
        _loopd.Bind("-o", "100", image);
        Assert.Contains("offset 100", Assert.Throws<ControlException>(() => _client.SetDirectIo(0, true)).Message, StringComparison.Ordinal);
        Assert.False(_client.GetStatus(0).DirectIo);

        _client.SetStatus(0, new StatusChange { Offset = 4096 });
        _client.SetDirectIo(0, true);
        Assert.True(_client.GetStatus(0).DirectIo);
        Assert.Contains("offset 100", Assert.Single(_client.SetStatus(0, new StatusChange { Offset = 100 }).Warnings), StringComparison.Ordinal);
        Assert.False(_client.GetStatus(0).DirectIo);
        Assert.Equal(File.ReadAllBytes(image)[100..((1 << 20) - 412)], File.ReadAllBytes(_loopd.Device(0)));
    }

    private static long CachedBytes(string path) => long.Parse(
        Shell.Run("fincore", "-b", "-n", "-o", "RES", path).Succeeded().Output, System.Globalization.CultureInfo.InvariantCulture);
}
