using System.Diagnostics;

namespace LoopDaemon.Benchmark;

/// <summary>What the run is at, a line each.</summary>
internal sealed class Progress
{
    private readonly Stopwatch _clock = Stopwatch.StartNew();

    internal TimeSpan Elapsed => _clock.Elapsed;

    internal void Say(string line) => Console.WriteLine($"{_clock.Elapsed:h\\:mm\\:ss}  {line}");
}
