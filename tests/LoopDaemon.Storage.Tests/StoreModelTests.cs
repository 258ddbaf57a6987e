using CsCheck;
using LoopDaemon.Linux;
using LoopDaemon.Transfers;

namespace LoopDaemon.Storage.Tests;

/// <summary>Random operations on a whole stack (file, window, pipeline) against an array of bytes.</summary>
public sealed class StoreModelTests
{
    private const int Sequences = 100;
    private const int RequestsEach = 100;
    private const int WindowOffset = 1536;
    private const int Length = 64 * 512;

    private static readonly byte[] XorKey = Bytes.Random(45, seed: 1);

    private static readonly Gen<int> GenPosition = Gen.Frequency(
        (1, Gen.Int[0, Length]),
        // At, just before and just behind the edge of a sector.
        (3, Gen.Select(Gen.Int[0, Length / 512], Gen.Int[-2, 2], (sector, nudge) => Math.Clamp(sector * 512 + nudge, 0, Length))));

    private static readonly Gen<Request> GenRequest = Gen.Select(
        Gen.Frequency((8, Gen.Const(Operation.Write)), (6, Gen.Const(Operation.Read)), (3, Gen.Const(Operation.WriteZeroes)),
            (3, Gen.Const(Operation.Discard)), (1, Gen.Const(Operation.Flush)), (1, Gen.Const(Operation.Reopen))),
        GenPosition, GenPosition, Gen.Int, Gen.OneOf(8192, 12_000, 16_384, 100_000),
        (operation, one, other, seed, scratch) =>
            new Request(operation, Math.Min(one, other), Math.Abs(one - other), seed, scratch));

    public enum Operation
    {
        Read,
        Write,
        WriteZeroes,
        Discard,
        Flush,
        Reopen,
    }

    [Fact]
    public void Identity_matches_the_model() =>
        Check(() => [new IdentityTransfer()], allowDiscards: true, plain => plain);

    [Fact]
    public void Xor_matches_the_model() =>
        Check(() => [new XorTransfer(XorKey)], allowDiscards: false, Xored);

    [Fact]
    public void A_pipeline_matches_the_model() =>
        Check(() => [new XorTransfer(XorKey), new ChainTransfer(7)], allowDiscards: false, plain =>
        {
            byte[] stored = Xored(plain);
            new ChainTransfer(7).Encode(stored, stored, WindowOffset / 512);
            return stored;
        });

    [Fact]
    public void Xor_with_discards_matches_the_model() =>
        // What the file holds where there are zeros is not determined: holes, or zeros encoded.
        Check(() => [new XorTransfer(XorKey)], allowDiscards: true, encode: null);

    private static byte[] Xored(byte[] plain) =>
        [.. plain.Select((value, i) => (byte)(value ^ XorKey[(i & 511) % XorKey.Length]))];

    private static void Check(Func<ITransfer[]> makePipeline, bool allowDiscards, Func<byte[], byte[]>? encode) =>
        GenRequest.Array[RequestsEach].Sample(requests => Run(requests, makePipeline, allowDiscards, encode), iter: Sequences, threads: 1);

    private static void Run(Request[] requests, Func<ITransfer[]> makePipeline, bool allowDiscards, Func<byte[], byte[]>? encode)
    {
        using var file = new TemporaryFile(WindowOffset + Length + 100);
        BlockStore Open() => TransferStore.Over(
            new WindowStore(file.Open(), WindowOffset, Length), makePipeline(), WindowOffset / 512, allowDiscards);

        byte[] model = new byte[Length];
        BlockStore store = Open();
        try
        {
            Assert.Equal(Errno.None, store.WriteZeroes(0, Length, new byte[BlockStore.MinScratchBytes]));
            foreach (Request request in requests)
            {
                if (request.Operation == Operation.Reopen)
                {
                    store.Dispose();
                    store = Open();
                }
                else
                {
                    Apply(request, store, model, allowDiscards);
                }
            }
            byte[] contents = new byte[Length];
            Assert.Equal(Errno.None, store.Read(0, contents));
            Assert.Equal(model, contents);
        }
        finally
        {
            store.Dispose();
        }
        byte[] stored = file.Bytes;
        Assert.Equal(WindowOffset + Length + 100, stored.Length);
        Assert.False(stored.AsSpan(0, WindowOffset).ContainsAnyExcept((byte)0));
        Assert.False(stored.AsSpan(WindowOffset + Length).ContainsAnyExcept((byte)0));
        if (encode is not null)
            Assert.Equal(encode(model), stored[WindowOffset..^100]);
    }

    private static void Apply(Request request, BlockStore store, byte[] model, bool allowDiscards)
    {
        Span<byte> range = model.AsSpan(request.Offset, request.Length);
        switch (request.Operation)
        {
            case Operation.Read:
                byte[] read = new byte[request.Length];
                Assert.Equal(Errno.None, store.Read(request.Offset, read));
                Assert.Equal(range.ToArray(), read);
                break;
            case Operation.Write:
                byte[] data = Bytes.Random(request.Length, request.Seed), kept = [.. data];
                Assert.Equal(Errno.None, store.Write(request.Offset, data, new byte[request.ScratchBytes]));
                Assert.Equal(kept, data);
                data.CopyTo(range);
                break;
            case Operation.WriteZeroes:
                Assert.Equal(Errno.None, store.WriteZeroes(request.Offset, request.Length, new byte[request.ScratchBytes]));
                range.Clear();
                break;
            case Operation.Discard:
                bool isPossible = allowDiscards || request.Length == 0;
                Assert.Equal(isPossible ? Errno.None : Errno.EOPNOTSUPP, store.Discard(request.Offset, request.Length));
                if (isPossible)
                    range.Clear();
                break;
            default:
                Assert.Equal(Errno.None, store.Flush());
                break;
        }
    }

    public sealed record Request(Operation Operation, int Offset, int Length, int Seed, int ScratchBytes);
}
