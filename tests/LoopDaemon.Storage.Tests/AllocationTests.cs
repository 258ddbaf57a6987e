using LoopDaemon.Linux;
using LoopDaemon.Transfers;

namespace LoopDaemon.Storage.Tests;

public sealed class AllocationTests
{
    [Theory]
    [InlineData(4096, 0)]
    [InlineData(5000, 100)]
    public void Reads_and_writes_through_a_whole_stack_allocate_nothing(int length, int offset)
    {
        using var file = new TemporaryFile(1 << 20);
        using var store = new TransferStore(
            new WindowStore(file.Open(), 4096, 0), [new XorTransfer([1, 2, 3]), new ChainTransfer(1)], 0, allowDiscards: true);
        byte[] data = Bytes.Random(length, seed: 1), scratch = new byte[32 * 1024];
        Work(store, offset, data, scratch, rounds: 100);

        long before = GC.GetAllocatedBytesForCurrentThread();
        Errno error = Work(store, offset, data, scratch, rounds: 10_000);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
        Assert.Equal(Errno.None, error);
    }

    private static Errno Work(TransferStore store, int offset, byte[] data, byte[] scratch, int rounds)
    {
        Errno error = Errno.None;
        for (int i = 0; i < rounds && error == Errno.None; i++)
        {
            error = store.Write(offset, data, scratch);
            if (error == Errno.None)
                error = store.Read(offset, data);
        }
        return error;
    }
}
