using System.Diagnostics;
using LoopDaemon.Linux;
using Mono.Unix.Native;

namespace LoopDaemon.Benchmark.Processes;

/// <summary>A program that serves a mount until it is told to end.</summary>
internal sealed class DaemonProcess : IDisposable
{
    private static readonly TimeSpan ReadyTimeout = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan EndTimeout = TimeSpan.FromSeconds(20);

    private readonly Process _process;
    private readonly string _name;
    private readonly string _mount;
    private readonly Queue<string> _lastWords = new();

    private DaemonProcess(Process process, string name, string mount)
    {
        _process = process;
        _name = name;
        _mount = mount;
    }

    /// <summary>The process, and those that it has started.</summary>
    internal IReadOnlyList<int> Processes => ProcessTree.Of(_process.Id);

    /// <summary>Starts a daemon and waits until it is ready.</summary>
    /// <param name="program">The program and its arguments.</param>
    /// <param name="mount">The mount point that it serves.</param>
    /// <param name="isReady">Whether it is ready.</param>
    /// <param name="cancellation">Ends the waiting, and the daemon.</param>
    internal static DaemonProcess Start(string[] program, string mount, Func<bool> isReady, CancellationToken cancellation)
    {
        // In a session of its own: Ctrl-C is for the benchmark, which then ends its daemons in order.
        var start = new ProcessStartInfo("setsid", program) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        var daemon = new DaemonProcess(Process.Start(start)!, Path.GetFileName(program[0]), mount);
        try
        {
            daemon.Follow();
            daemon.Await(isReady, cancellation);
            return daemon;
        }
        catch
        {
            daemon.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            Syscall.kill(_process.Id, Signum.SIGTERM);
            if (!_process.WaitForExit(EndTimeout))
            {
                Console.Error.WriteLine($"{_name} does not end; it is killed");
                _process.Kill(entireProcessTree: true);
                _process.WaitForExit();
            }
        }
        _process.Dispose();
        if (MountTable.At(_mount) is not null)
            MountTable.Unmount(_mount, detach: true);
    }

    private void Follow()
    {
        _process.StandardInput.Close();
        _process.OutputDataReceived += (_, line) => Remember(line.Data);
        _process.ErrorDataReceived += (_, line) => Remember(line.Data);
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    private void Remember(string? line)
    {
        lock (_lastWords)
        {
            if (!string.IsNullOrWhiteSpace(line))
                _lastWords.Enqueue(line.Trim());
            if (_lastWords.Count > 3)
                _lastWords.Dequeue();
        }
    }

    private void Await(Func<bool> isReady, CancellationToken cancellation)
    {
        var clock = Stopwatch.StartNew();
        while (!isReady())
        {
            if (_process.HasExited)
            {
                _process.WaitForExit();
                throw new MeasurementException($"{_name} ended at once (exit code {_process.ExitCode}): {LastWords()}");
            }
            if (clock.Elapsed > ReadyTimeout)
                throw new MeasurementException($"{_name} was not ready after {ReadyTimeout.TotalSeconds:0} s: {LastWords()}");
            cancellation.ThrowIfCancellationRequested();
            Thread.Sleep(20);
        }
    }

    private string LastWords()
    {
        lock (_lastWords)
            return _lastWords.Count == 0 ? "it said nothing" : string.Join(" / ", _lastWords);
    }
}
