using System.Formats.Tar;

namespace LoopDaemon.Benchmark.Jobs;

/// <summary>A tree of files like that of a large source repository, in a tar archive. The same size gives the same archive,
/// byte by byte.</summary>
internal sealed class FileTree
{
    private const int Seed = 500;
    private const int FilesPerFolder = 40;
    private const int LargeFileBytes = 8 << 20;
    private const int LargestSmallFileBytes = 48 << 10;

    private static readonly DateTimeOffset Time = DateTimeOffset.UnixEpoch;

    private FileTree(string archive, int files, long bytes)
    {
        Archive = archive;
        Files = files;
        Bytes = bytes;
    }

    /// <summary>The archive's path.</summary>
    internal string Archive { get; }

    internal int Files { get; }

    internal long Bytes { get; }

    /// <summary>Builds the archive.</summary>
    /// <param name="path">Where.</param>
    /// <param name="size">About how much the files hold: a quarter in large ones, the rest in small ones.</param>
    /// <param name="cancellation">Gives up.</param>
    internal static FileTree Build(string path, long size, CancellationToken cancellation)
    {
        var random = new Random(Seed);
        byte[] contents = new byte[LargeFileBytes];
        random.NextBytes(contents);
        int files = 0;
        long bytes = 0;
        using var archive = new TarWriter(File.Create(path), TarEntryFormat.Ustar);
        for (; bytes < size / 4; files++, bytes += LargeFileBytes)
            Add($"large/{files}.pack", LargeFileBytes);
        for (; bytes < size; files++)
        {
            cancellation.ThrowIfCancellationRequested();
            int length = random.Next(LargestSmallFileBytes);
            Add($"source/{files / FilesPerFolder / FilesPerFolder}/{files / FilesPerFolder}/{files}.c", length);
            bytes += length;
        }
        return new FileTree(path, files, bytes);

        void Add(string name, int length)
        {
            // No two files are alike, or a file system could tell.
            BitConverter.TryWriteBytes(contents, files);
            archive.WriteEntry(new UstarTarEntry(TarEntryType.RegularFile, name)
            {
                DataStream = new MemoryStream(contents, 0, length),
                ModificationTime = Time,
            });
        }
    }
}
