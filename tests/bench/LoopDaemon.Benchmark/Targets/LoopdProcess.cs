using System.Security.Cryptography;
using LoopDaemon.Benchmark.Machine;
using LoopDaemon.Benchmark.Processes;
using LoopDaemon.Control;

namespace LoopDaemon.Benchmark.Targets;

/// <summary>A running loopd with a mount and a socket of its own.</summary>
internal sealed class LoopdProcess : IDisposable
{
    private readonly string _loopctl;

    private LoopdProcess(DaemonProcess process, string socket, string loopctl)
    {
        Process = process;
        Socket = socket;
        _loopctl = loopctl;
    }

    internal DaemonProcess Process { get; }

    /// <summary>The control socket's path.</summary>
    internal string Socket { get; }

    internal static LoopdProcess Start(Installation installation, Workspace workspace, IEnumerable<string> options, CancellationToken cancellation)
    {
        string folder = workspace.NewFolder("loopd");
        string mount = Path.Combine(folder, "dev");
        string socket = Path.Combine(folder, "control");
        var process = DaemonProcess.Start(
            [installation.Loopd, "--mount", mount, "--control", socket, "--log-level", "warning", .. options], mount, () => Answers(socket), cancellation);
        return new LoopdProcess(process, socket, installation.Loopctl);
    }

    /// <summary>32 random bytes in a file.</summary>
    internal static string MakeKey(Workspace workspace)
    {
        string path = workspace.NewPath("key");
        File.WriteAllBytes(path, RandomNumberGenerator.GetBytes(32));
        return path;
    }

    /// <summary>Runs loopctl.</summary>
    /// <returns>The path that it prints.</returns>
    internal string Bind(IEnumerable<string> arguments, CancellationToken cancellation) =>
        Command.Run(_loopctl, ["--control", Socket, .. arguments], cancellation).Trim();

    public void Dispose() => Process.Dispose();

    private static bool Answers(string socket)
    {
        try
        {
            ControlClient.Connect(socket).Dispose();
            return true;
        }
        catch (DaemonUnavailableException)
        {
            return false;
        }
    }
}
