namespace LoopDaemon.Control.Varlink;

/// <summary>The peer does not speak Varlink, or stopped in the middle of a message: nothing sensible can follow on the
/// connection.</summary>
internal sealed class VarlinkProtocolException(string message, Exception? cause = null) : IOException(message, cause);
