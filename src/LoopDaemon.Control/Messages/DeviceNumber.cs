namespace LoopDaemon.Control;

/// <summary>The two halves of a <c>dev_t</c>.</summary>
/// <param name="Major">Which driver.</param>
/// <param name="Minor">Which of its devices.</param>
public sealed record DeviceNumber(uint Major, uint Minor);
