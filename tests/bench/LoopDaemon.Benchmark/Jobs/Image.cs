namespace LoopDaemon.Benchmark.Jobs;

/// <summary>Image files. All have the same contents, written in full: what a file system does for a block that is written
/// first is no part of any figure.</summary>
internal static class Image
{
    private const int Seed = 20;

    /// <summary>Makes a file that is full of data.</summary>
    internal static void Make(string path, long size, CancellationToken cancellation) => Fill(path, 0, size, cancellation);

    /// <summary>Makes a sparse file that has data at its end alone.</summary>
    internal static void MakeSparse(string path, long size, long dataSize, CancellationToken cancellation) =>
        Fill(path, size - dataSize, dataSize, cancellation);

    private static void Fill(string path, long offset, long size, CancellationToken cancellation)
    {
        var random = new Random(Seed);
        byte[] block = new byte[1 << 20];
        using FileStream file = File.Create(path, block.Length);
        file.Position = offset;
        for (long left = size; left > 0; left -= block.Length)
        {
            cancellation.ThrowIfCancellationRequested();
            random.NextBytes(block);
            file.Write(block, 0, (int)Math.Min(left, block.Length));
        }
        file.Flush(flushToDisk: true);
    }
}
