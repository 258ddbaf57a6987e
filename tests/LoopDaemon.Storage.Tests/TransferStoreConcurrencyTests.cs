using System.Collections.Concurrent;
using LoopDaemon.Linux;
using LoopDaemon.Transfers;

namespace LoopDaemon.Storage.Tests;

/// <summary>Bytes that share a sector belong to different threads, as files' blocks that share a larger sector do.</summary>
public sealed class TransferStoreConcurrencyTests
{
    private const int Threads = 8;
    private const int Rounds = 2000;
    private const int FileBytes = 8192;

    public static TheoryData<string> Transfers => ["xor", "chain"];

    [Theory]
    [MemberData(nameof(Transfers))]
    public void Neighbours_in_a_sector_never_see_each_others_writes(string transfer)
    {
        using var file = new TemporaryFile(FileBytes);
        ITransfer made = transfer == "xor" ? new XorTransfer(Bytes.Random(33, seed: 1)) : new ChainTransfer(5);
        using var store = new TransferStore(file.Open(), [made], firstSector: 0, allowDiscards: false);
        Assert.Equal(Errno.None, store.WriteZeroes(0, FileBytes, new byte[BlockStore.MinScratchBytes]));

        // Each thread owns 50 bytes in the first sectors, some across an edge, and every write of it leaves them uniform.
        var failures = new ConcurrentQueue<string>();
        Thread[] threads = [.. Enumerable.Range(0, Threads).Select(index => new Thread(() => Work(store, index, failures)))];
        foreach (Thread thread in threads)
            thread.Start();
        foreach (Thread thread in threads)
            thread.Join();

        Assert.Empty(failures);
        byte[] contents = new byte[FileBytes];
        Assert.Equal(Errno.None, store.Read(0, contents));
        for (int index = 0; index < Threads; index++)
            Assert.All(contents[Own(index)], value => Assert.Equal(unchecked((byte)Rounds), value));
        Assert.False(contents.AsSpan(Own(Threads - 1).End.Value).ContainsAnyExcept((byte)0));
    }

    private static Range Own(int index) => (300 + index * 50)..(350 + index * 50);

    private static void Work(TransferStore store, int index, ConcurrentQueue<string> failures)
    {
        byte[] own = new byte[50], read = new byte[50], around = new byte[FileBytes];
        byte[] scratch = new byte[BlockStore.MinScratchBytes];
        int offset = Own(index).Start.Value;
        for (int round = 1; round <= Rounds; round++)
        {
            Array.Fill(own, (byte)round);
            Errno error = store.Write(offset, own, scratch);
            if (error == Errno.None)
                error = store.Read(offset, read);
            if (error != Errno.None || !own.AsSpan().SequenceEqual(read))
                failures.Enqueue($"thread {index}, round {round}: {error}");
            // Bytes that nobody writes stay zeros for whoever reads past the neighbours.
            if (store.Read(0, around) != Errno.None || around.AsSpan(0, 300).ContainsAnyExcept((byte)0))
                failures.Enqueue($"thread {index}, round {round}: garbage in untouched bytes");
            for (int other = 0; other < Threads; other++)
            {
                if (around.AsSpan(Own(other)).ContainsAnyExcept(around[Own(other).Start.Value]))
                    failures.Enqueue($"thread {index}, round {round}: a torn write of thread {other}");
            }
        }
    }
}
