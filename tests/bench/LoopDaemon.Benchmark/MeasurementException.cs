namespace LoopDaemon.Benchmark;

/// <summary>Something could not be measured; the message says what and why, and goes into the document.</summary>
internal sealed class MeasurementException(string message, Exception? cause = null) : Exception(message, cause);
