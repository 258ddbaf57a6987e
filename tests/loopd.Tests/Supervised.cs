using System.Diagnostics;
using System.Globalization;

namespace LoopDaemon.Daemon.Tests;

/// <summary>A supervisor in a process of its own, whose daemons do what the test says. Disposing it ends both.</summary>
internal sealed class Supervised : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("loopd-supervised-").FullName;
    private readonly List<string> _log = [];
    private Process? _process;

    /// <summary>The supervisor's process id, and that of its process group.</summary>
    internal int Id => _process!.Id;

    /// <summary>What it has logged so far, and its daemons.</summary>
    internal string Log
    {
        get
        {
            lock (_log)
                return string.Join('\n', _log);
        }
    }

    /// <summary>Says what the daemon of a number does, from 1 on; 0 is for all that nothing else was said for.</summary>
    internal Supervised Daemon(int number, params string[] lines)
    {
        Write(number == 0 ? "else.do" : $"{number}.do", string.Join('\n', lines));
        return this;
    }

    internal void Write(string name, string content)
    {
        // All of it at once: a daemon may look at any time.
        File.WriteAllText(Path.Combine(_directory, name + ".new"), content);
        File.Move(Path.Combine(_directory, name + ".new"), Path.Combine(_directory, name), overwrite: true);
    }

    /// <summary>Starts the supervisor, as the head of a process group.</summary>
    internal Supervised Start(params string[] options) => StartBy("exec \"$0\" \"$@\"", options);

    /// <summary>Starts the supervisor by a script, which executes its parameters.</summary>
    internal Supervised StartBy(string script, params string[] options)
    {
        var start = new ProcessStartInfo("setsid", ["sh", "-c", script, Environment.ProcessPath!, "supervise", _directory, .. options])
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        start.Environment["TEST_MARK"] = "the same environment";
        _process = Process.Start(start)!;
        _process.ErrorDataReceived += (_, line) => Note(line.Data);
        _process.OutputDataReceived += (_, line) => Note(line.Data);
        _process.BeginErrorReadLine();
        _process.BeginOutputReadLine();
        return this;
    }

    /// <summary>What the daemon of a number has told, once that holds a text.</summary>
    internal string[] Told(int number, string text, int seconds = 20)
    {
        string path = Path.Combine(_directory, $"{number}.told");
        WaitUntil(() => File.Exists(path) && File.ReadAllText(path).Contains(text, StringComparison.Ordinal), $"daemon {number} tells \"{text}\"", seconds);
        return File.ReadAllLines(path);
    }

    /// <summary>How many daemons were started.</summary>
    internal int Daemons => Directory.GetFiles(_directory, "*.told").Length;

    internal int DaemonId(int number) => int.Parse(Told(number, "FDSTORE=")[0].Split(',')[0]["process ".Length..], CultureInfo.InvariantCulture);

    internal void Signal(string name) => Kill(name, $"{Id}");

    internal void SignalGroup(string name) => Kill(name, $"-{Id}");

    internal void SignalDaemon(int number, string name) => Kill(name, $"{DaemonId(number)}");

    internal void WaitForLog(string text, int seconds = 20) => WaitUntil(() => Log.Contains(text, StringComparison.Ordinal), $"the log says \"{text}\"", seconds);

    /// <summary>Waits for the supervisor's end.</summary>
    /// <returns>Its exit code.</returns>
    internal int WaitForExit(int seconds = 20)
    {
        Assert.True(_process!.WaitForExit(TimeSpan.FromSeconds(seconds)), $"the supervisor did not end within {seconds} s:\n{Log}");
        // Its output to the end, which came with that of the last daemon.
        _process.WaitForExit();
        return _process.ExitCode;
    }

    /// <summary>Waits until the supervisor was killed; its daemon may go on.</summary>
    internal void WaitForDeath() => Assert.True(_process!.WaitForExit(TimeSpan.FromSeconds(20)));

    public void Dispose()
    {
        if (_process is { HasExited: false })
        {
            _process.Kill();
            _process.WaitForExit(TimeSpan.FromSeconds(5));
        }
        for (int number = 1; number <= Daemons; number++)
        {
            int id = DaemonId(number);
            if (IsOurs(id))
                Kill("KILL", $"{id}");
        }
        _process?.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    private bool IsOurs(int id)
    {
        try
        {
            return File.ReadAllText($"/proc/{id}/cmdline").Contains(_directory, StringComparison.Ordinal);
        }
        catch (IOException)
        {
            return false;
        }
    }

    private static void Kill(string name, string process)
    {
        using Process kill = Process.Start("kill", ["-s", name, "--", process]);
        kill.WaitForExit();
    }

    private void Note(string? line)
    {
        lock (_log)
            _log.Add(line ?? "");
    }

    private void WaitUntil(Func<bool> condition, string what, int seconds)
    {
        var clock = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(seconds), $"{what}: not within {seconds} s; the log:\n{Log}");
            Thread.Sleep(10);
        }
    }
}
