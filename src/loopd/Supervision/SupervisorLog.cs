using System.Collections.Concurrent;
using System.Globalization;

namespace LoopDaemon.Daemon.Supervision;

/// <summary>A supervisor's lines on standard error, in the form of the daemon's own. A thread of their own writes them: where they
/// go may lie on the very devices that wait for the next daemon, be full, or be a terminal that is gone.</summary>
internal sealed class SupervisorLog : IDisposable
{
    private const int MostWaiting = 1000;

    private static readonly TimeSpan LastWords = TimeSpan.FromSeconds(1);

    private readonly BlockingCollection<string> _lines = new(MostWaiting);
    private readonly Thread _writer;

    internal SupervisorLog()
    {
        _writer = new Thread(WriteAll) { IsBackground = true, Name = "log" };
        _writer.Start();
    }

    internal void Information(string sentence) => Add("INF", sentence);

    internal void Warning(string sentence) => Add("WRN", sentence);

    internal void Error(string sentence) => Add("ERR", sentence);

    /// <summary>Waits a moment for the last lines.</summary>
    public void Dispose()
    {
        _lines.CompleteAdding();
        if (_writer.Join(LastWords))
            _lines.Dispose();
    }

    private void Add(string level, string sentence) =>
        _lines.TryAdd(string.Create(CultureInfo.InvariantCulture, $"{DateTime.Now:yyyy-MM-dd HH:mm:ss.fff} {level} supervisor: {sentence}"));

    private void WriteAll()
    {
        foreach (string line in _lines.GetConsumingEnumerable())
        {
            try
            {
                Console.Error.WriteLine(line);
            }
            catch (Exception unwritten) when (unwritten is IOException or UnauthorizedAccessException)
            {
                // Nobody can read it, or it is not open for writing at all; the next line may find room again.
            }
        }
    }
}
