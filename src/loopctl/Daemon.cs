using System.Diagnostics;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary>Finds the daemon that a command is for, and starts one where that is wanted.</summary>
internal sealed class Daemon
{
    private static readonly TimeSpan StartTime = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(5);

    private readonly bool _isDefault;

    /// <summary>The daemon on a socket: the given one, LOOPD_CONTROL's, or the default one.</summary>
    /// <exception cref="CommandException">The given one has no name.</exception>
    internal Daemon(string? socket)
    {
        if (socket?.Length == 0)
            throw new CommandException("--control must name a socket");
        string? chosen = socket ?? Environment.GetEnvironmentVariable("LOOPD_CONTROL");
        _isDefault = string.IsNullOrEmpty(chosen);
        Socket = _isDefault ? RuntimeDirectory.DefaultSocket : Path.GetFullPath(chosen!);
    }

    /// <summary>The path of its control socket.</summary>
    internal string Socket { get; }

    /// <summary>The process that <see cref="ConnectOrStart"/> started, or 0.</summary>
    internal int StartedProcess { get; private set; }

    /// <summary>Connects to a daemon that runs.</summary>
    /// <exception cref="CommandException">None runs, or it may not be used.</exception>
    internal ControlClient Connect()
    {
        try
        {
            return ControlClient.Connect(Socket);
        }
        catch (DaemonUnavailableException unavailable) when (unavailable.IsNotRunning)
        {
            throw new CommandException($"no daemon answers on {Socket}: start one with loopd{(_isDefault ? "" : $" --control {Socket}")}");
        }
        catch (DaemonUnavailableException unavailable) when (unavailable.Errno is Errno.EACCES or Errno.EPERM)
        {
            throw new CommandException($"permission denied on the control socket {Socket}: be root, or run a loopd of your own");
        }
        catch (DaemonUnavailableException unavailable)
        {
            throw new CommandException(unavailable.Message);
        }
    }

    /// <summary>Connects to a daemon that may have ended with its last device, as those on the default socket do that loopctl
    /// started.</summary>
    /// <returns>The connection, or null where none runs on the default socket.</returns>
    /// <exception cref="CommandException">None runs on a chosen socket, or it may not be used.</exception>
    internal ControlClient? ConnectUnlessGone()
    {
        try
        {
            return ControlClient.Connect(Socket);
        }
        catch (DaemonUnavailableException unavailable) when (_isDefault && unavailable.IsNotRunning)
        {
            return null;
        }
        catch (DaemonUnavailableException)
        {
            return Connect();
        }
    }

    /// <summary>Connects to a daemon that answers at once, for what can be done without.</summary>
    /// <returns>The connection, or null where none can be had.</returns>
    internal ControlClient? ConnectIfReady()
    {
        try
        {
            return ControlClient.Connect(Socket, TimeSpan.FromSeconds(1));
        }
        catch (DaemonUnavailableException)
        {
            return null;
        }
    }

    /// <summary>Connects; where none answers on the default socket, starts one that ends with its last device.</summary>
    /// <exception cref="CommandException">None can be had.</exception>
    internal ControlClient ConnectOrStart()
    {
        if (!_isDefault)
            return Connect();
        var clock = Stopwatch.StartNew();
        Process? started = null;
        while (true)
        {
            try
            {
                return ControlClient.Connect(Socket);
            }
            catch (DaemonUnavailableException unavailable) when (unavailable.IsNotRunning && clock.Elapsed < StartTime)
            {
                // One that ends this moment still holds its lock: the next attempt finds it gone.
                if (started is null || (started.HasExited && started.ExitCode != 0))
                {
                    if (started is not null && !WasFenced())
                        throw new CommandException($"no daemon answers on {Socket}, and none could be started: {LastLogLine()}");
                    started = Start();
                    StartedProcess = started.Id;
                }
                Thread.Sleep(Step);
            }
            catch (DaemonUnavailableException unavailable) when (unavailable.IsNotRunning)
            {
                throw new CommandException($"no daemon answers on {Socket}, and the one that was started does not get ready: see {RuntimeDirectory.DefaultLog}");
            }
            catch (DaemonUnavailableException)
            {
                return Connect();
            }
        }
    }

    private static bool WasFenced() => LastLogLine().Contains("another loopd", StringComparison.Ordinal);

    private static string LastLogLine() =>
        File.Exists(RuntimeDirectory.DefaultLog) && File.ReadLines(RuntimeDirectory.DefaultLog).LastOrDefault(line => line.Length > 0) is { } line
            ? line : $"see {RuntimeDirectory.DefaultLog}";

    /// <summary>In a session of its own, so that neither the terminal's signals nor its end reach it.</summary>
    private static Process Start()
    {
        string log = RuntimeDirectory.DefaultLog;
        string loopd = FindLoopd();
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(log)!);
            var start = new ProcessStartInfo("/bin/sh")
            {
                ArgumentList = { "-c", "exec setsid \"$0\" --supervise --exit-when-idle </dev/null >>\"$1\" 2>&1", loopd, log },
                UseShellExecute = false,
                WorkingDirectory = "/",
            };
            return Process.Start(start)!;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or System.ComponentModel.Win32Exception)
        {
            throw new CommandException($"no daemon answers on {RuntimeDirectory.DefaultSocket}, and none could be started: {failure.Message}");
        }
    }

    /// <summary>LOOPD, else where this loopctl was installed or built with it, else on the PATH, else where Debian has daemons
    /// that a user's PATH leaves out.</summary>
    private static string FindLoopd()
    {
        // The folder of the program itself: behind a symbolic link /usr/bin/loopctl that is /usr/lib/loopd.
        string here = AppContext.BaseDirectory;
        string configuration = Path.GetFileName(Path.TrimEndingDirectorySeparator(here));
        string[] candidates =
        [
            Environment.GetEnvironmentVariable("LOOPD") ?? "",
            Path.Combine(here, "loopd"),
            // PREFIX/bin/loopctl and PREFIX/lib/loopd/loopd; artifacts/bin/loopctl/release and artifacts/bin/loopd/release.
            Path.GetFullPath(Path.Combine(here, "..", "lib", "loopd", "loopd")),
            Path.GetFullPath(Path.Combine(here, "..", "..", "loopd", configuration, "loopd")),
            .. (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Append("/usr/local/sbin").Append("/usr/sbin")
                .Select(directory => Path.Combine(directory, "loopd")),
        ];
        return Array.Find(candidates, File.Exists)
            ?? throw new CommandException($"no daemon answers on {RuntimeDirectory.DefaultSocket}, and there is no loopd to start: put it beside loopctl or on the PATH");
    }
}
