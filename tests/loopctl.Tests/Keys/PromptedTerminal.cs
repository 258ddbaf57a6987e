using System.Diagnostics;
using System.Text;

namespace LoopDaemon.CommandLine.Tests.Keys;

/// <summary>A terminal of its own (a pseudo-terminal that script(1) makes), with a bash script on it, and somebody who types.</summary>
internal sealed class PromptedTerminal : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly Process _script;
    private readonly StringBuilder _shown = new();
    private readonly Thread _reading;

    /// <param name="commands">What runs there; $0 is this program, and ask is a function that runs its prompt.</param>
    internal PromptedTerminal(string commands)
    {
        Bash.SkipUnlessInstalled("script");
        string file = Path.GetTempFileName();
        // exec leaves the number of the function's process with the program.
        File.WriteAllText(file, $"rm {file}\nulimit -c 0\nask() {{ bash -c 'echo process $$.; exec \"$0\" ask \"$@\"' '{Environment.ProcessPath}' \"$@\"; }}\n{commands}\necho end.\n");
        // script runs this in $SHELL; one that stayed, as dash does, would itself die of what is typed.
        _script = Process.Start(new ProcessStartInfo("timeout", ["60", "script", "--quiet", "--return", "--echo", "always", "--command", $"exec bash {file}", "/dev/null"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        _script.StandardInput.AutoFlush = true;
        // Not of the pool, whose threads wait for the programs of other tests.
        _reading = new Thread(Read) { IsBackground = true };
        _reading.Start();
    }

    /// <summary>All that the terminal has shown.</summary>
    internal string Shown
    {
        get
        {
            lock (_shown)
                return _shown.ToString();
        }
    }

    internal void Type(string text) => _script.StandardInput.Write(text);

    /// <summary>Waits until something is shown.</summary>
    /// <returns>All that has been shown.</returns>
    internal string WaitFor(string text)
    {
        var clock = Stopwatch.StartNew();
        while (!Shown.Contains(text, StringComparison.Ordinal))
        {
            Assert.True(clock.Elapsed < Patience && _reading.IsAlive, $"'{text}' was never shown, but:\n{Shown}");
            Thread.Sleep(10);
        }
        return Shown;
    }

    public void Dispose()
    {
        _script.Kill(entireProcessTree: true);
        _script.Dispose();
    }

    private void Read()
    {
        char[] buffer = new char[1024];
        int count;
        while ((count = _script.StandardOutput.Read(buffer)) > 0)
        {
            lock (_shown)
                _shown.Append(buffer, 0, count);
        }
    }
}
