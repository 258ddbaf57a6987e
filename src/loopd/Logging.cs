using System.Globalization;
using Serilog;
using Serilog.Core;
using Serilog.Events;

namespace LoopDaemon.Daemon;

/// <summary>One line an event on standard error, which the starter's log file takes; or, where that is systemd's journal, an entry
/// with priority and fields there.</summary>
internal static class Logging
{
    private const string Line = "{Timestamp:yyyy-MM-dd HH:mm:ss.fff} {Level:u3} {Message:lj}{NewLine}{Exception}";

    internal static Logger Create(LogEventLevel level)
    {
        Logger standardError = new LoggerConfiguration()
            .MinimumLevel.Verbose()
            .WriteTo.Console(outputTemplate: Line, formatProvider: CultureInfo.InvariantCulture,
                standardErrorFromLevel: LogEventLevel.Verbose)
            .CreateLogger();
        return new LoggerConfiguration()
            .MinimumLevel.Is(level)
            .MinimumLevel.Override("Microsoft", LogEventLevel.Warning)
            // A start that fails is told in one sentence by Program.
            .MinimumLevel.Override("Microsoft.Extensions.Hosting.Internal.Host", LogEventLevel.Fatal)
            .WriteTo.Sink((ILogEventSink?)JournalSink.Connect(standardError) ?? standardError)
            .CreateLogger();
    }
}
