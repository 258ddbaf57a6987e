using System.Diagnostics;
using System.Globalization;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>A loopd of the test's own, with its mount, socket and log in a temporary directory that also has room for
/// images. Disposing it ends it and leaves nothing behind.</summary>
internal sealed class Loopd : IDisposable
{
    private static readonly string Binaries = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "..", ".."));
    private static readonly string Configuration = Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory));

    private readonly List<string> _log = [];
    private readonly string _program;
    private readonly string[] _arguments;
    private Process _process;

    /// <summary>Starts a daemon and waits until it is ready.</summary>
    internal Loopd(params string[] arguments) : this(Program, arguments)
    {
    }

    private Loopd(string program, string[] arguments)
    {
        Requirements.SkipUnlessRootWithFuse();
        _program = program;
        Directory = System.IO.Directory.CreateTempSubdirectory("loopd-e2e-").FullName;
        _arguments = ["--mount", Mount, "--control", Socket, .. arguments];
        _process = Start();
    }

    /// <summary>Starts the daemon of another folder, where a test can replace it.</summary>
    internal static Loopd Of(string program, params string[] arguments) => new(program, arguments);

    internal static string Program => Path.Combine(Binaries, "loopd", Configuration, "loopd");

    internal static string ControlProgram => Path.Combine(Binaries, "loopctl", Configuration, "loopctl");

    /// <summary>The temporary directory.</summary>
    internal string Directory { get; }

    internal string Mount => Path.Combine(Directory, "dev");

    internal string Socket => Path.Combine(Directory, "control");

    internal int ProcessId => _process.Id;

    /// <summary>The daemon's process where a supervisor is its parent; it notes it in its lock file. 0 while there is none.</summary>
    internal int DaemonProcessId
    {
        get
        {
            // File.ReadAllText would want a lock of its own.
            if (FileDescriptor.TryOpen(Socket + ".lock", OpenFlags.ReadOnly, out FileDescriptor? file) != Errno.None)
                return 0;
            using (file)
            {
                byte[] text = new byte[16];
                _ = file!.ReadAt(0, text, out int count);
                return int.TryParse(System.Text.Encoding.ASCII.GetString(text, 0, count).Trim(), CultureInfo.InvariantCulture, out int id) ? id : 0;
            }
        }
    }

    /// <summary>Sends the daemon of a supervisor a signal, and waits until another one serves.</summary>
    internal void Replace(string signal)
    {
        int before = DaemonProcessId;
        Shell.Run("kill", "-s", signal, before.ToString(CultureInfo.InvariantCulture)).Succeeded();
        WaitForAnother(before);
    }

    /// <summary>Waits until the daemon of a supervisor is another one and serves.</summary>
    internal void WaitForAnother(int before, int seconds = 20)
    {
        WaitUntil(() => DaemonProcessId is var now && now != 0 && now != before, $"a daemon after process {before}", seconds);
        WaitUntil(Answers, "the next daemon answers", seconds);
    }

    internal bool HasExited => _process.HasExited;

    /// <summary>What it has logged so far.</summary>
    internal string Log
    {
        get
        {
            lock (_log)
                return string.Join('\n', _log);
        }
    }

    /// <summary>A path in the temporary directory.</summary>
    internal string File(string name) => Path.Combine(Directory, name);

    /// <summary>The path of a device's file.</summary>
    internal string Device(int number) => Path.Combine(Mount, $"loop{number}");

    /// <summary>Runs loopctl against this daemon.</summary>
    internal ShellResult Control(params string[] arguments) =>
        Shell.Run(ControlProgram, ["--control", Socket, .. arguments]);

    /// <summary>Binds a file to the first free device.</summary>
    /// <returns>The device's path.</returns>
    internal string Bind(params string[] arguments) => Control(["-f", "--show", .. arguments]).Succeeded().Output.Trim();

    /// <summary>Makes a file of random bytes, the same for the same seed.</summary>
    internal string MakeFile(string name, long length, int seed = 1)
    {
        string path = File(name);
        var random = new Random(seed);
        byte[] block = new byte[1 << 20];
        using FileStream file = System.IO.File.Create(path);
        for (long left = length; left > 0; left -= block.Length)
        {
            random.NextBytes(block);
            file.Write(block, 0, (int)Math.Min(left, block.Length));
        }
        return path;
    }

    /// <summary>Makes an empty (sparse) file.</summary>
    internal string MakeSparseFile(string name, long length)
    {
        string path = File(name);
        using FileStream file = System.IO.File.Create(path);
        file.SetLength(length);
        return path;
    }

    /// <summary>Makes a file of given bytes.</summary>
    internal string MakeFile(string name, byte[] contents)
    {
        string path = File(name);
        System.IO.File.WriteAllBytes(path, contents);
        return path;
    }

    /// <summary>Sends a signal, as kill(1) names it.</summary>
    internal void Signal(string name) =>
        Shell.Run("kill", "-s", name, ProcessId.ToString(CultureInfo.InvariantCulture));

    /// <summary>Waits for the daemon's end.</summary>
    /// <returns>Its exit code.</returns>
    internal int WaitForExit(int seconds = 20)
    {
        Assert.True(_process.WaitForExit(TimeSpan.FromSeconds(seconds)), $"loopd did not end within {seconds} s:\n{Log}");
        return _process.ExitCode;
    }

    /// <summary>Ends the daemon as Ctrl-C does.</summary>
    internal int Stop()
    {
        Signal("INT");
        return WaitForExit();
    }

    /// <summary>Starts it again after it has ended.</summary>
    internal void StartAgain() => _process = Start();

    /// <summary>Waits until something holds.</summary>
    internal static void WaitUntil(Func<bool> condition, string what, int seconds = 15)
    {
        var clock = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(seconds), $"{what}: not within {seconds} s");
            Thread.Sleep(20);
        }
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            Signal("INT");
            if (!_process.WaitForExit(TimeSpan.FromSeconds(5)))
            {
                // Something is still open; a test that ends so has failed already.
                AbortConnection();
                _process.Kill();
                _process.WaitForExit();
            }
        }
        _process.Dispose();
        MountTable.Unmount(Mount, detach: true);
        System.IO.Directory.Delete(Directory, recursive: true);
    }

    private Process Start()
    {
        var process = Process.Start(new ProcessStartInfo(_program, _arguments) { RedirectStandardError = true })!;
        process.ErrorDataReceived += (_, line) =>
        {
            lock (_log)
                _log.Add(line.Data ?? "");
        };
        process.BeginErrorReadLine();
        WaitUntil(() => process.HasExited || Answers(), "loopd becomes ready");
        Assert.False(process.HasExited, $"loopd ended at once: {Log}");
        return process;
    }

    /// <summary>A daemon that was killed leaves its socket's file behind: only a connection shows that one is there.</summary>
    private bool Answers()
    {
        try
        {
            ControlClient.Connect(Socket).Dispose();
            return true;
        }
        catch (DaemonUnavailableException)
        {
            return false;
        }
    }

    /// <summary>The last resort for a mount that hangs: the kernel fails all that waits for it.</summary>
    private void AbortConnection()
    {
        if (MountTable.At(Mount) is not { } mount)
            return;
        Shell.Run("bash", "-c", "mountpoint -q /sys/fs/fuse/connections || mount -t fusectl none /sys/fs/fuse/connections");
        Shell.Run("bash", "-c", $"echo 1 > /sys/fs/fuse/connections/{mount.DeviceMinor}/abort");
    }
}
