using System.IO.MemoryMappedFiles;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>Everybody who looks at a device sees the same bytes, at any position and size, whoever wrote them and
/// whichever way.</summary>
public sealed class ConsistencyTests
{
    private const int Bytes = 1 << 20;

    [Theory]
    [InlineData("identity")]
    [InlineData("passthrough")]
    [InlineData("xor")]
    public void Single_bytes_are_read_and_written_at_odd_offsets(string stackName)
    {
        using var loopd = new Loopd();
        TransferStack stack = TransferStack.Make(loopd, stackName);
        string data = loopd.MakeFile("data", 4000), plain = loopd.MakeFile("plain", Bytes, seed: 2);
        string image = loopd.MakeFile("disk.img", stack.Encode(File.ReadAllBytes(plain)));
        string device = loopd.Bind([.. stack.Arguments, image]);
        // The same on the device and on a plain file; the last reads beyond the end.
        foreach ((int offset, int count) in new[] { (1, 1), (511, 2), (513, 1022), (4095, 1500), (300_001, 777), (Bytes - 600, 600) })
        {
            foreach (string target in new[] { device, plain })
                Shell.Bash($"dd if='{data}' of='{target}' bs=1 count={count} seek={offset} conv=notrunc status=none");
            Shell.Bash($"dd if='{device}' of='{loopd.File("part")}' bs=1 count={count + 3} skip={offset - 1} status=none");
            Assert.Equal(File.ReadAllBytes(plain).AsSpan(offset - 1, Math.Min(count + 3, Bytes - offset + 1)).ToArray(), File.ReadAllBytes(loopd.File("part")));
        }
        Shell.Run("cmp", plain, device).Succeeded();
        Assert.Equal(stack.Encode(File.ReadAllBytes(plain)), File.ReadAllBytes(image));
    }

    [Theory]
    [InlineData("identity")]
    [InlineData("passthrough")]
    [InlineData("xor")]
    public void Direct_reads_begin_and_end_at_any_sector(string stackName)
    {
        using var loopd = new Loopd();
        TransferStack stack = TransferStack.Make(loopd, stackName);
        byte[] plain = File.ReadAllBytes(loopd.MakeFile("plain", Bytes));
        string device = loopd.Bind([.. stack.Arguments, loopd.MakeFile("disk.img", stack.Encode(plain))]);
        using FileDescriptor direct = FileDescriptor.Open(device, OpenFlags.ReadOnly | FileDescriptor.Direct);
        using PageMemory memory = PageMemory.Allocate(Bytes);
        foreach (int length in new[] { 512, 1024, 1536, 4096, 4608, 128 << 10, (256 << 10) + 512 })
        {
            for (int offset = 0; offset < Bytes; offset += length > 8192 ? 20 * 512 : 512)
            {
                Assert.Equal(Errno.None, direct.ReadAt(offset, memory.Span(0, length), out int count));
                Assert.Equal(Math.Min(length, Bytes - offset), count);
                Assert.True(memory.Span(0, count).SequenceEqual(plain.AsSpan(offset, count)), $"{length} bytes at {offset}");
            }
        }
    }

    /// <summary>Each byte has one writer, so each must always find there what it wrote last: a sector that is read, changed
    /// and written back must not take another's byte back.</summary>
    [Theory]
    [InlineData("identity", false, false)]
    [InlineData("passthrough", false, false)]
    [InlineData("xor", false, false)]
    [InlineData("xor, xor", false, false)]
    [InlineData("identity", true, true)]
    [InlineData("xor", true, true)]
    [InlineData("xor, xor", true, true)]
    [InlineData("xor", false, true)]
    public void Neighbouring_bytes_of_a_sector_have_writers_of_their_own(string stackName, bool evenDirect, bool oddDirect)
    {
        const int Threads = 8, Rounds = 1500, First = 5 * 512 + 250;
        using var loopd = new Loopd();
        TransferStack stack = TransferStack.Make(loopd, stackName);
        byte[] plain = File.ReadAllBytes(loopd.MakeFile("plain", 64 << 10));
        string image = loopd.MakeFile("disk.img", stack.Encode(plain));
        string device = loopd.Bind([.. stack.Arguments, image]);

        AllAtOnce(Threads, i =>
        {
            Errno error = FileDescriptor.TryOpen(device, Access(direct: i % 2 == 0 ? evenDirect : oddDirect), out FileDescriptor? file);
            using (file)
            {
                Span<byte> one = stackalloc byte[1];
                for (int round = 0; round < Rounds; round++)
                {
                    byte value = (byte)(round * 7 + i);
                    error = file?.WriteAt(First + i, [value]) ?? error;
                    if (error == Errno.None)
                        error = file!.ReadAt(First + i, one, out _);
                    if (error != Errno.None || one[0] != value)
                        return $"byte {i}, round {round}: {error.Name()}, {one[0]} instead of {value}";
                }
            }
            return null;
        });

        for (int i = 0; i < Threads; i++)
            plain[First + i] = (byte)((Rounds - 1) * 7 + i);
        Assert.Equal(plain, File.ReadAllBytes(device));
        Assert.Equal(stack.Encode(plain), File.ReadAllBytes(image));
    }

    /// <summary>Three ways to one device, each with a cache or none of its own: in every order of opening, and with each of
    /// them closed for a while.</summary>
    [Theory]
    [InlineData("identity", "buffered direct")]
    [InlineData("passthrough", "buffered direct")]
    [InlineData("identity", "direct buffered")]
    [InlineData("passthrough", "direct buffered")]
    [InlineData("xor", "buffered direct")]
    [InlineData("xor", "direct buffered")]
    [InlineData("xor", "buffered direct buffered direct")]
    [InlineData("identity", "buffered direct kernel")]
    [InlineData("passthrough", "buffered direct kernel")]
    [InlineData("identity", "direct kernel buffered")]
    [InlineData("passthrough", "direct kernel buffered")]
    [InlineData("xor", "buffered direct kernel")]
    [InlineData("xor", "buffered kernel direct")]
    [InlineData("xor", "direct buffered kernel")]
    [InlineData("xor", "direct kernel buffered")]
    [InlineData("xor", "kernel buffered direct")]
    [InlineData("xor", "kernel direct buffered")]
    public void Readers_see_what_was_written_another_way(string stackName, string order)
    {
        if (order.Contains("kernel", StringComparison.Ordinal))
            Requirements.SkipUnlessKernelLoop();
        using var loopd = new Loopd();
        TransferStack stack = TransferStack.Make(loopd, stackName);
        byte[] model = File.ReadAllBytes(loopd.MakeFile("plain", Bytes));
        string image = loopd.MakeFile("disk.img", stack.Encode(model));
        string device = loopd.Bind([.. stack.Arguments, image]);

        string[] ways = order.Split(' ');
        var views = new DeviceView?[ways.Length];
        try
        {
            for (int i = 0; i < ways.Length; i++)
            {
                views[i] = new DeviceView(device, ways[i], stackName);
                WriteAndReadInTurn(views, model, seed: i);
            }
            for (int i = 0; i < ways.Length; i++)
            {
                views[i]!.Dispose();
                views[i] = null;
                WriteAndReadInTurn(views, model, seed: 10 + i);
                views[i] = new DeviceView(device, ways[i], stackName);
                WriteAndReadInTurn(views, model, seed: 20 + i);
            }
        }
        finally
        {
            Array.ForEach(views, view => view?.Dispose());
        }
        foreach (string way in new[] { "buffered", "direct" })
        {
            using var last = new DeviceView(device, way, stackName);
            last.AssertShows(model, 0, Bytes);
        }
        Assert.Equal(stack.Encode(model), File.ReadAllBytes(image));
    }

    /// <summary>The pages from before the direct writer are stale; whoever opens the device next, none may be served.</summary>
    [Fact]
    public void Readers_that_open_at_once_after_a_direct_writer_see_what_it_wrote()
    {
        const int Readers = 6, Rounds = 200, Length = 64 << 10;
        using var loopd = new Loopd();
        string device = loopd.Bind([.. TransferStack.Make(loopd, "xor").Arguments, loopd.MakeSparseFile("disk.img", Length)]);
        byte[] expected = new byte[Length];
        for (int round = 1; round <= Rounds; round++)
        {
            expected.AsSpan().Fill((byte)round);
            // The readers of the round before are released behind their backs: only then does this one go past the cache.
            Thread.Sleep(2);
            using (FileDescriptor direct = Open(device, direct: true))
                Assert.Equal(Errno.None, direct.WriteAt(0, expected));
            Thread.Sleep(2);
            AllAtOnce(Readers, i =>
            {
                byte[] buffer = new byte[Length];
                Errno error = FileDescriptor.TryOpen(device, OpenFlags.ReadWrite, out FileDescriptor? file);
                using (file)
                    error = file?.ReadAt(0, buffer, out _) ?? error;
                return error == Errno.None && buffer.AsSpan().SequenceEqual(expected) ? null
                    : $"reader {i}, round {round}: {error.Name()}, {buffer[0]} instead of {expected[0]}";
            });
        }
    }

    [Theory]
    [InlineData("identity")]
    [InlineData("passthrough")]
    [InlineData("xor")]
    public void A_shared_mapping_shows_and_takes_the_devices_bytes(string stackName)
    {
        using var loopd = new Loopd();
        TransferStack stack = TransferStack.Make(loopd, stackName);
        byte[] model = File.ReadAllBytes(loopd.MakeFile("plain", Bytes));
        string image = loopd.MakeFile("disk.img", stack.Encode(model));
        string device = loopd.Bind([.. stack.Arguments, image]);
        using (var file = new FileStream(device, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0))
        using (var mapping = MemoryMappedFile.CreateFromFile(file, null, 0, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: false))
        using (MemoryMappedViewAccessor view = mapping.CreateViewAccessor())
        using (FileDescriptor plain = Open(device, direct: false))
        {
            byte[] seen = new byte[Bytes];
            Assert.Equal(Bytes, view.ReadArray(0, seen, 0, Bytes));
            Assert.Equal(model, seen);

            // What is written to the file is in the mapping at once, and the other way round.
            byte[] data = TransferStack.Key(10_001);
            Assert.Equal(Errno.None, plain.WriteAt(70_003, data));
            data.CopyTo(model, 70_003);
            view.ReadArray(70_003, seen, 0, data.Length);
            Assert.Equal(data, seen[..data.Length]);
            foreach (int offset in new[] { 5, 4090, 200_001, Bytes - 10_001 })
            {
                view.WriteArray(offset, data, 0, data.Length);
                data.CopyTo(model, offset);
                Assert.Equal(Errno.None, plain.ReadAt(offset, seen.AsSpan(0, data.Length), out _));
                Assert.Equal(data, seen[..data.Length]);
            }

            // msync(2) brings it to the daemon.
            view.Flush();
            Assert.Equal(stack.Encode(model), File.ReadAllBytes(image));
            view.Write(12_345, (byte)~model[12_345]);
            model[12_345] = (byte)~model[12_345];
        }
        // The last byte was left to the kernel to write when the mapping went.
        using (FileDescriptor direct = Open(device, direct: true))
        {
            using PageMemory seen = PageMemory.Allocate(Bytes);
            Assert.Equal(Errno.None, direct.ReadAt(0, seen.Span(0, Bytes), out _));
            Assert.True(seen.Span(0, Bytes).SequenceEqual(model));
        }
        Assert.Equal(stack.Encode(model), File.ReadAllBytes(image));
    }

    /// <summary>Each view in turn writes, and all see it.</summary>
    private static void WriteAndReadInTurn(DeviceView?[] views, byte[] model, int seed)
    {
        const int Block = 4096, Rounds = 25;
        var random = new Random(seed);
        DeviceView[] open = [.. views.OfType<DeviceView>()];
        for (int round = 0; round < Rounds; round++)
        {
            foreach (DeviceView writer in open)
            {
                // The same few blocks all the time, so that each is in whatever cache there is.
                int offset = random.Next(8) * Block, length = random.Next(1, 5) * Block;
                if (!writer.NeedsWholeBlocks && round % 2 == 1)
                    (offset, length) = (offset + random.Next(Block), length - random.Next(1, Block));
                random.NextBytes(model.AsSpan(offset, length));
                writer.Write(offset, model.AsSpan(offset, length));
                foreach (DeviceView reader in open)
                    reader.AssertShows(model, offset / Block * Block, length + Block);
            }
        }
    }

    /// <summary>Runs something on several threads that begin together; none may have a complaint.</summary>
    private static void AllAtOnce(int count, Func<int, string?> run)
    {
        using var together = new Barrier(count);
        string?[] complaints = new string?[count];
        Thread[] threads = [.. Enumerable.Range(0, count).Select(i => new Thread(() =>
        {
            together.SignalAndWait(CancellationToken.None);
            complaints[i] = run(i);
        }) { IsBackground = true })];
        Array.ForEach(threads, thread => thread.Start());
        Assert.All(threads, thread => Assert.True(thread.Join(TimeSpan.FromSeconds(60)), "a thread hangs"));
        Assert.All(complaints, Assert.Null);
    }

    private static FileDescriptor Open(string device, bool direct) => FileDescriptor.Open(device, Access(direct));

    private static OpenFlags Access(bool direct) => OpenFlags.ReadWrite | (direct ? FileDescriptor.Direct : 0);

    /// <summary>One way to a device's bytes: its file through the page cache or with O_DIRECT, or a kernel loop device with
    /// direct I/O on that file.</summary>
    private sealed class DeviceView : IDisposable
    {
        private readonly string _way;
        private readonly FileDescriptor _file;
        private readonly FileDescriptor? _kernelLoop;
        private readonly PageMemory _memory = PageMemory.Allocate(Bytes);

        internal DeviceView(string device, string way, string stackName)
        {
            // As on a block device; the daemon itself takes direct I/O of any length.
            NeedsWholeBlocks = way == "kernel" || (way == "direct" && stackName == "passthrough");
            _way = way;
            if (way == "kernel")
                _kernelLoop = KernelLoop.Attach(device, readOnly: false, out device);
            _file = Open(device, direct: way != "buffered");
        }

        internal bool NeedsWholeBlocks { get; }

        internal void Write(int offset, ReadOnlySpan<byte> data)
        {
            Span<byte> aligned = _memory.Span(0, data.Length);
            data.CopyTo(aligned);
            Assert.Equal(Errno.None, _file.WriteAt(offset, aligned));
        }

        internal void AssertShows(byte[] model, int offset, int length)
        {
            Span<byte> seen = _memory.Span(0, NeedsWholeBlocks ? (length + 4095) / 4096 * 4096 : length);
            Assert.Equal(Errno.None, _file.ReadAt(offset, seen, out int count));
            Assert.Equal(seen.Length, count);
            int same = seen.CommonPrefixLength(model.AsSpan(offset, count));
            Assert.True(same == count, $"{_way}: other data at {offset + same} ({count} bytes from {offset})");
        }

        public void Dispose()
        {
            _file.Dispose();
            _kernelLoop?.Dispose();
            _memory.Dispose();
        }
    }
}
