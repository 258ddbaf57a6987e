namespace LoopDaemon.CommandLine.Tests;

/// <summary>A directory for a test's files, which goes with the test.</summary>
internal sealed class TemporaryDirectory : IDisposable
{
    internal string Path { get; } = Directory.CreateTempSubdirectory("loopctl-tests-").FullName;

    /// <summary>Makes an empty (sparse) file.</summary>
    internal string MakeFile(string name, long length = 1 << 20)
    {
        string path = System.IO.Path.Combine(Path, name);
        using FileStream file = File.Create(path);
        file.SetLength(length);
        return path;
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
