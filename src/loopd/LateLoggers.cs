using Microsoft.Extensions.Logging;
using Serilog.Events;
using Serilog.Extensions.Logging;

namespace LoopDaemon.Daemon;

/// <summary>Loggers for what starts before the host. Serilog is set up with the first event that is to be logged: that takes
/// about as long as mounting and listening together, and should come behind them.</summary>
internal sealed class LateLoggers(LogEventLevel least) : IDisposable
{
    private readonly LogLevel _least = LevelConvert.ToExtensionsLevel(least);
    private readonly Lazy<Serilog.Core.Logger> _serilog = new(() => Logging.Create(least));

    /// <summary>Where all events go.</summary>
    internal Serilog.ILogger Serilog => _serilog.Value;

    internal ILogger<T> For<T>() => new LateLogger<T>(this);

    public void Dispose()
    {
        if (_serilog.IsValueCreated)
            _serilog.Value.Dispose();
    }

    private sealed class LateLogger<T>(LateLoggers loggers) : ILogger<T>
    {
        private readonly Lazy<ILogger> _serilog = new(() => new SerilogLoggerFactory(loggers.Serilog).CreateLogger<T>());

        // Without this first question each event that is far from being logged would set Serilog up.
        public bool IsEnabled(LogLevel level) => level >= loggers._least && _serilog.Value.IsEnabled(level);

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => _serilog.Value.BeginScope(state);

        public void Log<TState>(LogLevel level, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            _serilog.Value.Log(level, eventId, state, exception, formatter);
    }
}
