using System.Diagnostics;
using System.Runtime.InteropServices;
using LoopDaemon.Fuse.Engines;
using LoopDaemon.Fuse.Wire;
using LoopDaemon.Linux;

namespace LoopDaemon.Fuse.Tests;

/// <summary>One server goes on where another one of the same mount has ended. What a dying server leaves is made for real: the
/// kernel's own requests, read into the slots by the test in the server's place.</summary>
public sealed class RecoveryTests : IDisposable
{
    private const int BlockBytes = 4096;

    private readonly MemoryFileSystem _files = new(64 * 1024) { Modes = OpenModes.DirectIo };
    private readonly List<string> _trouble = [];
    private readonly string _path;
    private readonly FuseMount _mount;
    private FuseServer? _server;
    private FuseNegotiation? _negotiation;

    public RecoveryTests()
    {
        Requirements.SkipUnlessRootWithFuse();
        _path = Directory.CreateTempSubdirectory("loopd-recovery-").FullName;
        _mount = FuseMount.Mount(_path, new FuseMountOptions("hello", AllowOther: true));
    }

    public void Dispose()
    {
        FuseMount.Unmount(_path, detach: true);
        _mount.Dispose();
        Assert.True(_server?.Completion.Wait(TimeSpan.FromSeconds(10)) ?? true, "the server did not end with its mount");
        _server?.Dispose();
        Directory.Delete(_path);
    }

    [Fact]
    public async Task A_parked_servers_mount_waits_for_the_next_one()
    {
        FileDescriptor slots = await ServeAndPark();
        using Process reader = Dd("if=data", "of=/dev/null", "bs=4096", "count=1");
        await WaitUntil(() => _mount.Connection.HasRequest);
        Assert.False(reader.WaitForExit(TimeSpan.FromMilliseconds(100)));

        Assert.Equal(new RecoveredRequests(0, 0), Resume(slots));
        Assert.True(reader.WaitForExit(TimeSpan.FromSeconds(10)));
        Assert.Equal(0, reader.ExitCode);
        Assert.Empty(_trouble);
    }

    [Fact]
    public async Task A_write_that_was_only_read_is_carried_out_and_answered()
    {
        FileDescriptor slots = await ServeAndPark();
        using Process writer = await LeaveWrite(slots, 'n', static _ => { });
        Assert.Equal(1, Resume(slots).Answered);
        AssertEnds(writer);
        Assert.Equal((byte)'n', _files.Content[0]);
    }

    [Fact]
    public async Task A_write_whose_result_was_noted_is_answered_and_not_carried_out_again()
    {
        FileDescriptor slots = await ServeAndPark();
        using Process writer = await LeaveWrite(slots, 'n', static slot => slot.MarkDone(BlockBytes));
        Assert.Equal(1, Resume(slots).Answered);
        AssertEnds(writer);
        Assert.Equal(0, _files.Content[0]);
    }

    [Fact]
    public async Task A_noted_error_is_the_answer()
    {
        FileDescriptor slots = await ServeAndPark();
        using Process writer = await LeaveWrite(slots, 'n', static slot => slot.MarkDone(-(int)Errno.ENOSPC));
        Resume(slots);
        Assert.True(writer.WaitForExit(TimeSpan.FromSeconds(10)));
        Assert.Contains("No space left on device", await writer.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_write_that_was_answered_long_ago_does_not_undo_a_newer_one()
    {
        FileDescriptor slots = await ServeAndPark(LeaveStaleWrite);
        RecoveredRequests recovered = Resume(slots);
        Assert.Equal(new RecoveredRequests(0, 1), recovered);
        Assert.Equal((byte)'n', _files.Content[0]);
    }

    /// <summary>Proof that the test above can fail: without the kernel's word the stale write is carried out.</summary>
    [Fact]
    public async Task Without_the_probe_it_would()
    {
        FileDescriptor slots = await ServeAndPark(LeaveStaleWrite);
        var session = new FuseSession(_mount.Connection, _files, _trouble.Add) { Negotiation = _negotiation };
        using var engine = new ThreadEngine(_mount.Connection, session, new RequestSlots(slots.Duplicate(), 1), 1, _trouble.Add);
        Assert.Equal(1, new RequestRecovery(engine, engine.Slots, (_, _) => null).Run().Answered);
        Assert.Equal((byte)'o', _files.Content[0]);
        Resume(slots);
    }

    [Fact]
    public async Task What_nobody_waits_for_is_dropped()
    {
        FileDescriptor slots = await ServeAndPark();
        using (var left = new RequestSlots(slots.Duplicate(), 2))
        {
            MemoryMarshal.Write(left[0].Request, new InHeader { Length = InHeader.Size + 8, Opcode = Opcode.Forget, Unique = 1_000_000, Node = 2 });
            MemoryMarshal.Write(left[1].Request, new InHeader { Length = 7, Opcode = Opcode.Write, Unique = 1_000_002 });
            left[0].MarkRead();
            left[1].MarkRead();
        }
        Assert.Equal(new RecoveredRequests(0, 2), Resume(slots));
        Assert.Contains("7 bytes", Assert.Single(_trouble), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_INIT_that_the_last_server_did_not_live_to_answer_is_answered()
    {
        FileDescriptor slots;
        using (var left = new RequestSlots(1))
        {
            left[0].Clear(_mount.Connection.Device.Number);
            Assert.Equal(Errno.None, _mount.Connection.Device.Read(left[0].Request, out _));
            left[0].MarkRead();
            slots = left.File.Duplicate();
        }
        Assert.Equal(1, Resume(slots).Answered);
        await _server!.Initialization.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        AssertEnds(Dd("if=data", "of=/dev/null", "bs=4096"));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(8)]
    public async Task The_next_server_may_have_more_or_fewer_threads(int threads)
    {
        FileDescriptor slots = await ServeAndPark();
        using Process writer = await LeaveWrite(slots, 'n', static _ => { }, slot: 1);
        Assert.Equal(1, Resume(slots, threads).Answered);
        AssertEnds(writer);
        AssertEnds(Dd("if=data", "of=/dev/null", "bs=4096"));
        Assert.Equal(threads, _server!.Threads.Running);
    }

    [Fact]
    public async Task Parking_waits_for_what_is_under_way()
    {
        Serve();
        using var goOn = new ManualResetEventSlim();
        _files.OnRead = (_, _) => goOn.Wait();
        using Process reader = Dd("if=data", "of=/dev/null", "bs=4096", "count=1");
        await WaitUntil(() => _server!.Threads.Busy == 1);
        Task parked = _server!.ParkAsync();
        Assert.NotSame(parked, await Task.WhenAny(parked, Task.Delay(200, TestContext.Current.CancellationToken)));
        goOn.Set();
        await parked.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        Assert.Equal(0, _server.Threads.Running);
        Resume(_server.Slots!.Duplicate());
        AssertEnds(reader);
    }

    /// <summary>Has a request be answered, then answered anew with other data; and puts the first one back into its slot as if its
    /// thread had been held up just behind the answer, before it could mark the slot.</summary>
    private void LeaveStaleWrite(RequestSlots slots)
    {
        byte[]? stale = null;
        int from = -1;
        _files.OnWrite = (_, _, _) =>
        {
            from = Enumerable.Range(0, slots.Count).First(index => slots[index].Progress == SlotState.Read);
            stale ??= slots[from].Request.ToArray();
        };
        AssertEnds(Write('o'));
        int slot = from;
        _files.OnWrite = null;
        AssertEnds(Write('n'));
        Assert.Equal((byte)'n', _files.Content[0]);
        _server!.ParkAsync().Wait(TimeSpan.FromSeconds(10));
        stale!.CopyTo(slots[slot].Request);
        slots[slot].MarkRead();
    }

    private async Task<FileDescriptor> ServeAndPark(Action<RequestSlots>? meanwhile = null)
    {
        Serve();
        FileDescriptor file = _server!.Slots!.Duplicate();
        if (meanwhile is not null)
        {
            using var slots = new RequestSlots(file.Duplicate(), 1);
            meanwhile(slots);
        }
        await _server.ParkAsync().WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        return file;
    }

    private void Serve()
    {
        _server = new FuseServer(_mount.Connection, _files, threads: 2, _trouble.Add);
        _server.Start();
        _negotiation = _server.Initialization.WaitAsync(TimeSpan.FromSeconds(10)).GetAwaiter().GetResult();
    }

    private RecoveredRequests Resume(FileDescriptor slots, int threads = 2)
    {
        _server = FuseServer.Resume(_mount.Connection, _files, threads, slots, _negotiation, resend: true, out RecoveredRequests recovered, _trouble.Add);
        return recovered;
    }

    /// <summary>Starts a writer and reads its write in the place of a server that then dies.</summary>
    private async Task<Process> LeaveWrite(FileDescriptor slots, char data, Action<RequestSlots.Slot> mark, int slot = 0)
    {
        Process writer = Write(data);
        using var left = new RequestSlots(slots.Duplicate(), 2);
        while (true)
        {
            await WaitUntil(() => _mount.Connection.HasRequest);
            left[slot].Clear(_mount.Connection.Device.Number);
            Assert.Equal(Errno.None, _mount.Connection.Device.Read(left[slot].Request, out int length));
            left[slot].MarkRead();
            InHeader header = MemoryMarshal.Read<InHeader>(left[slot].Request);
            if (header.Opcode == Opcode.Write)
            {
                mark(left[slot]);
                return writer;
            }
            // What leads up to it is served as ever.
            var session = new FuseSession(_mount.Connection, _files, _trouble.Add) { Negotiation = _negotiation };
            using var engine = new ThreadEngine(_mount.Connection, session, new RequestSlots(slots.Duplicate(), 1), 1, _trouble.Add);
            using var reader = new DeviceReader(engine, engine.Slots, slot);
            reader.Recover();
        }
    }

    private Process Write(char data) =>
        Start("sh", "-c", $"head -c {BlockBytes} /dev/zero | tr '\\0' {data} | dd of=data bs={BlockBytes} conv=notrunc iflag=fullblock");

    private Process Dd(params string[] arguments) => Start("dd", arguments);

    private Process Start(string program, params string[] arguments) => Process.Start(new ProcessStartInfo("/usr/bin/env", ["-C", _path, program, .. arguments])
    {
        RedirectStandardError = true,
        // Not here: this process must not wait for the mount that it serves.
        WorkingDirectory = "/",
    })!;

    private static void AssertEnds(Process process)
    {
        Assert.True(process.WaitForExit(TimeSpan.FromSeconds(10)), "a program hangs on the mount");
        Assert.Equal(0, process.ExitCode);
    }

    private static async Task WaitUntil(Func<bool> condition)
    {
        for (var clock = Stopwatch.StartNew(); !condition(); await Task.Delay(5, TestContext.Current.CancellationToken))
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(10), "not within 10 s");
    }
}
