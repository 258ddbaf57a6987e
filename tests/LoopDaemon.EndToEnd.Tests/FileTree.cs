using System.Runtime.InteropServices;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>Real files of this machine, thousands of them, to be copied onto a file system and found there again.</summary>
internal sealed class FileTree
{
    private readonly string _list;
    private readonly string _sums;

    /// <summary>Picks files until they have a size, from the .NET SDK first and then from what any system has.</summary>
    internal FileTree(Loopd loopd, long atLeastBytes)
    {
        var everywhere = new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint };
        string sdk = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", "sdk"));
        var files = new List<string>();
        long bytes = 0;
        foreach (string file in new[] { sdk, "/usr/share/doc", "/usr/share/man", "/usr/lib/python3" }
            .Where(Directory.Exists).SelectMany(root => Directory.EnumerateFiles(root, "*", everywhere)))
        {
            // Relative to the root directory, as the copies are to theirs.
            files.Add(file[1..]);
            bytes += new FileInfo(file).Length;
            if (bytes >= atLeastBytes)
                break;
        }
        Assert.SkipUnless(bytes >= atLeastBytes, $"needs {atLeastBytes >> 20} MiB of files to copy");
        _list = loopd.MakeFile("files", System.Text.Encoding.UTF8.GetBytes(string.Concat(files.Select(file => file + '\0'))));
        _sums = Shell.Bash($"cd / && sort -z '{_list}' | xargs -0 sha256sum");
    }

    internal void CopyTo(string directory) =>
        Shell.Bash($"cd / && xargs -0 cp -a --parents -t '{directory}' < '{_list}'", timeoutSeconds: 120);

    /// <summary>A file system holds this tree, every byte of it, and no other file.</summary>
    internal void AssertIsIn(string directory) =>
        Assert.Equal(_sums, Shell.Bash($"cd '{directory}' && find * -type f -print0 | sort -z | xargs -0 sha256sum", timeoutSeconds: 120));
}
