using System.Globalization;

namespace LoopDaemon.Linux;

/// <summary>Which processes have which files open (/proc/PID/fd of proc(5)), as far as this one may know.</summary>
public static class OpenFiles
{
    /// <summary>The processes that have a file below a directory open, such as <c>dd (process 1234)</c>, by the file's path. Only
    /// links are read: a file system that does not answer is not asked.</summary>
    /// <param name="directory">The directory, an absolute path without symbolic links.</param>
    public static ILookup<string, string> Beneath(string directory)
    {
        string prefix = directory + "/";
        var found = new List<(string Path, string Process)>();
        foreach (string process in Directory.EnumerateDirectories("/proc").Where(path => int.TryParse(Path.GetFileName(path), CultureInfo.InvariantCulture, out int id) && id != Environment.ProcessId))
        {
            try
            {
                foreach (string link in Directory.EnumerateFileSystemEntries(Path.Combine(process, "fd")))
                {
                    if (new FileInfo(link).LinkTarget is { } target && target.StartsWith(prefix, StringComparison.Ordinal))
                        found.Add((target, $"{Name(process)} (process {Path.GetFileName(process)})"));
                }
            }
            catch (Exception unknown) when (unknown is IOException or UnauthorizedAccessException)
            {
                // It has ended, or is another user's.
            }
        }
        return found.ToLookup(open => open.Path, open => open.Process);
    }

    private static string Name(string process) => ControlCharacters.Escape(File.ReadAllText(Path.Combine(process, "comm")).TrimEnd('\n'));
}
