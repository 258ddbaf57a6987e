using System.Diagnostics;
using LoopDaemon.Linux;

namespace LoopDaemon.Fuse.Tests;

public sealed class ThreadEngineProtocolTests() : ProtocolTests(Engine.Threads);

[Collection(IoUringSwitch.Name)]
public sealed class UringEngineProtocolTests() : ProtocolTests(Engine.Uring);

/// <summary>Each operation over a real mount, as the kernel sends it, with one engine and the other.</summary>
public abstract class ProtocolTests
{
    private const int MiB = 1 << 20;

    private readonly Engine _engine;

    protected ProtocolTests(Engine engine)
    {
        _engine = engine;
        if (engine == Engine.Uring)
            Requirements.SkipUnlessIoUring();
    }

    [Fact]
    public void Attributes_reach_stat()
    {
        using var mounted = Mount(new MemoryFileSystem(1000));
        Assert.Equal(Errno.None, FileStatus.Of(mounted.File("data"), out FileStatus status));
        Assert.Equal((1000, 8192, 12u, 34u, 0b110_110_110u, 1_500_000_000_123_456_789), (status.SizeBytes,
            status.AllocatedBytes, status.Uid, status.Gid, status.Permissions, status.ModifiedNs));
        // A birth time is asked for with STATX where the kernel has it (6.6), which falls back to GETATTR.
        Assert.Contains("1000", Run("stat", "--format=%s %W", mounted.File("data")), StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_written_is_read_again_up_to_whole_requests_of_one_MiB()
    {
        var files = new MemoryFileSystem(4 * MiB) { Modes = OpenModes.DirectIo };
        int longest = 0;
        files.OnRead = (_, length) => longest = Math.Max(longest, length);
        using var mounted = Mount(files);
        using FileDescriptor file = FileDescriptor.Open(mounted.File("data"), OpenFlags.ReadWrite);
        byte[] written = new byte[3 * MiB + 123];
        new Random(1).NextBytes(written);
        Assert.Equal(Errno.None, file.WriteAt(77, written));
        byte[] read = new byte[written.Length];
        Assert.Equal(Errno.None, file.ReadAt(77, read, out int count));
        Assert.Equal(written.Length, count);
        Assert.True(read.AsSpan().SequenceEqual(written));
        Assert.Equal(MiB, longest);
    }

    [Fact]
    public void Written_data_and_scratch_memory_begin_on_pages()
    {
        var files = new MemoryFileSystem(MiB) { Modes = OpenModes.DirectIo };
        var places = new List<(nint, nint)>();
        files.OnWrite = (_, data, scratch) => places.Add((data % 4096, scratch % 4096));
        using var mounted = Mount(files);
        using FileDescriptor file = FileDescriptor.Open(mounted.File("data"), OpenFlags.ReadWrite);
        Assert.Equal(Errno.None, file.WriteAt(1, new byte[MiB - 1]));
        Assert.Equal(Errno.None, file.WriteAt(0, new byte[1]));
        Assert.NotEmpty(places);
        Assert.All(places, place => Assert.Equal((0, 0), place));
    }

    [Fact]
    public void Other_operations_arrive_with_their_arguments()
    {
        var files = new MemoryFileSystem(MiB);
        using (var mounted = Mount(files))
        {
            string path = mounted.File("data");
            using (FileDescriptor file = FileDescriptor.Open(path, OpenFlags.ReadWrite))
            {
                Assert.Equal(Errno.None, file.Synchronize(dataOnly: true));
                Assert.Equal(Errno.None, file.Synchronize(dataOnly: false));
                Assert.Equal(Errno.None, file.Allocate(AllocateMode.PunchHole | AllocateMode.KeepSize, 4096, 8192));
                Assert.Equal(Errno.None, file.Seek(SeekTarget.Data, 5, out long data));
                Assert.Equal(Errno.None, file.Seek(SeekTarget.Hole, 5, out long hole));
                Assert.Equal((15, 25), (data, hole));
                Assert.Equal(Errno.None, file.SetLength(MiB));
            }
            Run("chmod", "640", path);
            Run("chown", "7:8", path);
            Run("touch", path);
            Run("stat", "-f", mounted.Path);
            Assert.NotEqual(0, Exit("mkdir", mounted.File("new")));
            Assert.NotEqual(0, Exit("rm", "-f", path));
            Assert.NotEqual(0, Exit("mv", path, mounted.File("other")));
            Assert.NotEqual(0, Exit("ln", "-s", "x", mounted.File("link")));
            WaitFor(() => files.Saw("release 1002"));
            Assert.Empty(mounted.Trouble);
        }
        Assert.Contains("fsync 1002 dataOnly=True", files.Calls);
        Assert.Contains("fsync 1002 dataOnly=False", files.Calls);
        Assert.Contains("fallocate KeepSize, PunchHole 4096 8192", files.Calls);
        Assert.Contains(files.Calls, call => call.StartsWith($"setattr size={MiB}", StringComparison.Ordinal));
        Assert.Contains(files.Calls, call => call.Contains("uid=7 gid=8", StringComparison.Ordinal));
        Assert.Contains(files.Calls, call => call.Contains("times=True", StringComparison.Ordinal));
        Assert.Contains("CreateDirectory", files.Calls);
        Assert.Contains("RemoveFile", files.Calls);
        Assert.Contains("Rename", files.Calls);
        Assert.Contains("CreateLink", files.Calls);
        Assert.Single(files.Calls, call => call == "destroyed");
    }

    [Fact]
    public void A_long_directory_is_listed_whole_with_and_without_attributes()
    {
        const int Count = 3000;
        using var mounted = Mount(new MemoryFileSystem(0, Count));
        var expected = Enumerable.Range(0, Count).Select(i => i.ToString(System.Globalization.CultureInfo.InvariantCulture)).Order(StringComparer.Ordinal);
        Assert.Equal(expected, Directory.GetFiles(mounted.Path).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal));
        Assert.Equal(Count.ToString(System.Globalization.CultureInfo.InvariantCulture), Run("bash", "-c", $"ls -lnU '{mounted.Path}' | grep -c ' 12 34 0 '"));
    }

    [Fact]
    public void Cached_data_and_names_go_with_a_notification()
    {
        var files = new MemoryFileSystem(4096) { Modes = OpenModes.KeepCache };
        using var mounted = Mount(files);
        string path = mounted.File("data");
        Assert.Equal(0, File.ReadAllBytes(path)[0]);
        files.Content[0] = 1;
        Assert.Equal(0, File.ReadAllBytes(path)[0]);
        Assert.Equal(Errno.None, mounted.Connection.InvalidateNode(MemoryFileSystem.DataNode));
        Assert.Equal(1, File.ReadAllBytes(path)[0]);

        files.IsHidden = true;
        Assert.True(File.Exists(path));
        Assert.Equal(Errno.None, mounted.Connection.InvalidateEntry(FuseFileSystem.RootNode, "data"u8));
        Assert.False(File.Exists(path));
        // What the kernel has never seen needs no invalidation.
        Assert.Equal(Errno.None, mounted.Connection.InvalidateNode(4711));
    }

    [Fact]
    public void An_exception_is_EIO_and_the_mount_lives_on()
    {
        var files = new MemoryFileSystem(4096) { Modes = OpenModes.DirectIo };
        using var mounted = Mount(files);
        using FileDescriptor file = FileDescriptor.Open(mounted.File("data"), OpenFlags.ReadOnly);
        files.OnRead = (_, _) => throw new InvalidOperationException("on purpose");
        Assert.Equal(Errno.EIO, file.ReadAt(0, new byte[10], out _));
        files.OnRead = null;
        Assert.Equal(Errno.None, file.ReadAt(0, new byte[10], out int count));
        Assert.Equal(10, count);
        Assert.Contains(mounted.Trouble, line => line.Contains("on purpose", StringComparison.Ordinal));
    }

    [Fact]
    public void A_caller_that_is_killed_while_it_waits_harms_nobody()
    {
        var files = new MemoryFileSystem(MiB) { Modes = OpenModes.DirectIo };
        using var gate = new ManualResetEventSlim();
        using var waits = new ManualResetEventSlim();
        using var mounted = Mount(files);
        files.OnRead = (position, _) =>
        {
            if (position.Offset != 4096)
                return;
            waits.Set();
            gate.Wait(TimeSpan.FromSeconds(20));
        };
        int[] processors = [.. Processors.Online];
        using Process caller = StartRead(mounted, processors[0], block: 1);
        WaitFor(() => waits.IsSet);
        caller.Kill();
        // Others go on meanwhile, if not in the same ring.
        if (processors.Length > 1)
        {
            using Process other = StartRead(mounted, processors[1], block: 0);
            Assert.True(other.WaitForExit(TimeSpan.FromSeconds(10)));
        }
        Assert.False(gate.IsSet || caller.HasExited);
        gate.Set();
        Assert.True(caller.WaitForExit(TimeSpan.FromSeconds(10)));
        Assert.Equal(Errno.None, ReadStart(mounted));
        Assert.Empty(mounted.Trouble);
    }

    [Fact]
    public void Requests_allocate_nothing()
    {
        const int Rounds = 50_000;
        var files = new MemoryFileSystem(MiB) { Modes = OpenModes.DirectIo };
        using var mounted = Mount(files);
        using FileDescriptor file = FileDescriptor.Open(mounted.File("data"), OpenFlags.ReadWrite);
        byte[] block = new byte[512];
        var allocations = new AllocationMeter();
        files.OnRead = (_, _) => allocations.Measure();
        files.OnWrite = (_, _, _) => allocations.Measure();
        for (int i = 0; i < Rounds; i++)
        {
            Assert.Equal(Errno.None, file.ReadAt(i % 1000, block, out _));
            Assert.Equal(Errno.None, file.WriteAt(i % 1000, block));
        }
        Assert.Equal((2 * Rounds, 0), (allocations.Requests, allocations.Bytes));
    }

    [Fact]
    public void Threads_serve_at_the_same_time()
    {
        // Over io_uring, those of different processors do.
        int[] processors = [.. Processors.Online];
        var files = new MemoryFileSystem(MiB) { Modes = OpenModes.DirectIo };
        using var together = new Barrier(processors.Length);
        files.OnRead = (_, _) => Assert.True(together.SignalAndWait(TimeSpan.FromSeconds(10)));
        using var mounted = Mount(files, processors.Length);
        Process[] callers = [.. processors.Select(processor => StartRead(mounted, processor, block: 0))];
        foreach (Process caller in callers)
        {
            using (caller)
            {
                Assert.True(caller.WaitForExit(TimeSpan.FromSeconds(20)));
                Assert.Equal(0, caller.ExitCode);
            }
        }
        Assert.Empty(mounted.Trouble);
    }

    [Fact]
    public void Many_callers_get_what_is_theirs()
    {
        const int Callers = 16, Rounds = 300, Area = 64 << 10;
        var files = new MemoryFileSystem(Callers * Area) { Modes = OpenModes.DirectIo | OpenModes.ParallelDirectWrites };
        using var mounted = Mount(files);
        Parallel.For(0, Callers, new ParallelOptions { MaxDegreeOfParallelism = Callers }, caller =>
        {
            using FileDescriptor file = FileDescriptor.Open(mounted.File("data"), OpenFlags.ReadWrite);
            var random = new Random(caller);
            byte[] written = new byte[Area], read = new byte[Area];
            for (int i = 0; i < Rounds; i++)
            {
                int offset = random.Next(Area), length = random.Next(1, Area - offset + 1);
                random.NextBytes(written.AsSpan(offset, length));
                Assert.Equal(Errno.None, file.WriteAt(caller * Area + offset, written.AsSpan(offset, length)));
                Assert.Equal(Errno.None, file.ReadAt(caller * Area, read, out int count));
                Assert.Equal(Area, count);
                Assert.True(read.AsSpan().SequenceEqual(written));
            }
        });
        Assert.Empty(mounted.Trouble);
    }

    [Fact]
    public void Nodes_are_forgotten()
    {
        var files = new MemoryFileSystem(0, others: 10) { Links = 0 };
        using var mounted = Mount(files);
        for (int i = 0; i < 10; i++)
            Assert.True(File.Exists(mounted.File($"{i}")));
        for (int i = 0; i < 10; i++)
            mounted.Connection.InvalidateEntry(FuseFileSystem.RootNode, System.Text.Encoding.ASCII.GetBytes($"{i}"));
        for (int i = 0; i < 10; i++)
            WaitFor(() => files.Saw($"forget {100 + i}"));
    }

    [Fact]
    public void Unmounting_under_load_ends_the_server()
    {
        for (int round = 0; round < 20; round++)
        {
            var files = new MemoryFileSystem(4 * MiB) { Modes = OpenModes.DirectIo };
            using var mounted = Mount(files);
            Thread[] callers = [.. Enumerable.Range(0, 8).Select(_ => new Thread(() =>
            {
                byte[] block = new byte[64 << 10];
                while (FileDescriptor.TryOpen(mounted.File("data"), OpenFlags.ReadOnly, out FileDescriptor? file) == Errno.None)
                {
                    using (file)
                        file!.ReadAt(0, block, out _);
                }
            }))];
            Array.ForEach(callers, caller => caller.Start());
            Thread.Sleep(20);
            mounted.Unmount();
            WaitFor(() => mounted.Completion.IsCompleted);
            Assert.All(callers, caller => Assert.True(caller.Join(TimeSpan.FromSeconds(10))));
            Assert.Empty(mounted.Trouble);
        }
    }

    /// <summary>Whatever is under way fails, and nothing hangs.</summary>
    [Fact]
    public void An_aborted_connection_ends_the_server()
    {
        var files = new MemoryFileSystem(MiB) { Modes = OpenModes.DirectIo };
        using var gate = new ManualResetEventSlim();
        using var waits = new CountdownEvent(4);
        using var mounted = Mount(files, threads: 4);
        files.OnRead = (_, _) =>
        {
            waits.Signal();
            gate.Wait(TimeSpan.FromSeconds(20));
        };
        int[] processors = [.. Processors.Online];
        Process[] callers = [.. Enumerable.Range(0, 8).Select(i => StartRead(mounted, processors[i % processors.Length], i, quiet: true))];
        WaitFor(() => waits.CurrentCount < 4);
        Thread.Sleep(200);
        Abort(mounted.Device);
        // A request on its way into a ring ends when the ring's thread is back in the kernel, and no sooner.
        if (_engine == Engine.Uring)
            gate.Set();
        foreach (Process caller in callers)
        {
            using (caller)
                Assert.True(caller.WaitForExit(TimeSpan.FromSeconds(10)));
        }
        gate.Set();
        WaitFor(() => mounted.Completion.IsCompleted);
    }

    [Fact]
    public void A_clone_serves_the_same_mount()
    {
        using var mounted = Mount(new MemoryFileSystem(10));
        using FileDescriptor clone = mounted.Connection.Clone();
        Assert.NotEqual(mounted.Connection.Device.Number, clone.Number);
    }

    [Fact]
    public void Resending_finds_nothing_when_all_is_answered()
    {
        using var mounted = Mount(new MemoryFileSystem(10));
        Assert.SkipUnless(mounted.Negotiation.HasResend, "needs FUSE_NOTIFY_RESEND (Linux 6.9)");
        Assert.Equal(Errno.None, mounted.Connection.Resend());
        Assert.Equal(Errno.None, ReadStart(mounted));
    }

    [Fact]
    public void A_backing_file_is_read_past_the_server()
    {
        string backing = Path.GetTempFileName();
        try
        {
            File.WriteAllText(backing, "0123456789");
            var files = new MemoryFileSystem(10) { Modes = OpenModes.Passthrough };
            files.OnRead = (_, _) => throw new InvalidOperationException("the server was asked");
            using var mounted = Mount(files);
            Assert.SkipUnless(mounted.Negotiation.HasPassthrough, "needs FUSE_PASSTHROUGH (Linux 6.9)");
            using FileDescriptor open = FileDescriptor.Open(backing, OpenFlags.ReadWrite);
            Assert.Equal(Errno.None, mounted.Connection.OpenBacking(open, out int id));
            files.BackingId = id;
            Assert.Equal("0123456789", File.ReadAllText(mounted.File("data")));
            Assert.Equal(Errno.None, mounted.Connection.CloseBacking(id));
        }
        finally
        {
            File.Delete(backing);
        }
    }

    private MountedFileSystem Mount(FuseFileSystem files, int threads = 2) => new(files, _engine, threads);

    /// <summary>Has the kernel fail all that waits, as an administrator does.</summary>
    private static void Abort(uint connection)
    {
        string control = Directory.CreateTempSubdirectory("fusectl-").FullName;
        Assert.Equal(Errno.None, MountTable.Mount("none", control, "fusectl", 0, ""));
        File.WriteAllText(Path.Combine(control, $"{connection}", "abort"), "1");
        Assert.Equal(Errno.None, MountTable.Unmount(control, detach: true));
        Directory.Delete(control);
    }

    /// <summary>Another process, on a given processor, that reads one block.</summary>
    private static Process StartRead(MountedFileSystem mounted, int processor, int block, bool quiet = false) =>
        Process.Start(new ProcessStartInfo("taskset",
            ["-c", $"{processor}", "dd", "if=" + mounted.File("data"), "of=/dev/null", "bs=4096", $"skip={block}", "count=1", "status=none"])
        {
            RedirectStandardError = quiet,
        })!;

    private static Errno ReadStart(MountedFileSystem mounted)
    {
        using FileDescriptor file = FileDescriptor.Open(mounted.File("data"), OpenFlags.ReadOnly);
        return file.ReadAt(0, new byte[10], out _);
    }

    private static string Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        string output = process.StandardOutput.ReadToEnd().Trim();
        Assert.True(process.WaitForExit(TimeSpan.FromSeconds(20)));
        Assert.Equal(0, process.ExitCode);
        return output;
    }

    private static int Exit(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        Assert.True(process.WaitForExit(TimeSpan.FromSeconds(20)));
        return process.ExitCode;
    }

    private static void WaitFor(Func<bool> condition) =>
        Assert.True(SpinWait.SpinUntil(condition, TimeSpan.FromSeconds(10)));
}
