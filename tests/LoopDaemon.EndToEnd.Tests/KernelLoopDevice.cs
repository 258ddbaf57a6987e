namespace LoopDaemon.EndToEnd.Tests;

/// <summary>A kernel loop device that losetup has bound to a file. Disposing it detaches it, if that has not been done.</summary>
internal sealed class KernelLoopDevice : IDisposable
{
    private bool _isDetached;

    internal KernelLoopDevice(string file, params string[] options) =>
        Path = Shell.Run("losetup", ["-f", "--show", .. options, file]).Succeeded().Output.Trim();

    internal string Path { get; }

    public void Dispose()
    {
        // By then the number may be another's.
        if (!_isDetached)
            Shell.Run("losetup", "-d", Path);
        _isDetached = true;
    }
}
