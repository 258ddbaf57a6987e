using LoopDaemon.Linux;

namespace LoopDaemon.Storage.Tests;

/// <summary>A backing file that is deleted with the test.</summary>
internal sealed class TemporaryFile : IDisposable
{
    internal TemporaryFile(byte[] contents) => File.WriteAllBytes(Path, contents);

    internal TemporaryFile(long length) : this([])
    {
        using FileStream file = File.OpenWrite(Path);
        file.SetLength(length);
    }

    internal string Path { get; } = System.IO.Path.Combine(System.IO.Path.GetTempPath(), System.IO.Path.GetRandomFileName());

    internal byte[] Bytes => File.ReadAllBytes(Path);

    internal long AllocatedBytes
    {
        get
        {
            Assert.Equal(Errno.None, FileStatus.Of(Path, out FileStatus status));
            return status.AllocatedBytes;
        }
    }

    public void Dispose() => File.Delete(Path);

    internal FileStore Open(OpenFlags flags = OpenFlags.ReadWrite) => FileStore.Open(FileDescriptor.Open(Path, flags));
}
