using System.CommandLine;
using System.Runtime.InteropServices;
using System.Text.Json;
using LoopDaemon.Benchmark;
using LoopDaemon.Benchmark.Document;
using LoopDaemon.Benchmark.Results;

const int Failed = 1, Interrupted = 130;

try
{
    return BenchmarkOptions.Command(Run).Parse(args)
        .Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });
}
catch (FormatException e)
{
    Console.Error.WriteLine($"benchmark: {e.Message}");
    return Failed;
}

int Run(BenchmarkOptions options)
{
    using var cancellation = new CancellationTokenSource();
    // However it is told to end, it first takes down what it has set up.
    void Cancel(PosixSignalContext context)
    {
        context.Cancel = true;
        Console.Error.WriteLine("ending; this takes a moment");
        cancellation.Cancel();
    }
    using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Cancel);
    using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Cancel);
    using var hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, Cancel);
    try
    {
        string raw = Path.Combine(options.ResultsFolder, ResultsFolder.RawData);
        BenchmarkResults results = options.RenderOnly ? BenchmarkResults.Load(raw) : new BenchmarkRun(options, string.Join(' ', args), cancellation.Token).Run();
        ResultsFolder.Write(options.ResultsFolder, results);
        foreach (string line in Summary.Of(results))
            Console.WriteLine(line);
        Console.WriteLine($"\nwritten: {Path.Combine(options.ResultsFolder, ResultsFolder.Document)}");
        return 0;
    }
    catch (OperationCanceledException)
    {
        return Interrupted;
    }
    catch (Exception e) when (e is MeasurementException or IOException or JsonException or UnauthorizedAccessException)
    {
        Console.Error.WriteLine($"benchmark: {e.Message}");
        return Failed;
    }
}
