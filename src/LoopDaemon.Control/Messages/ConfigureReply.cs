namespace LoopDaemon.Control;

/// <summary>The device that was bound.</summary>
/// <param name="Device">Its number.</param>
/// <param name="Path">The path of its block file.</param>
/// <param name="Size">Its size in bytes.</param>
/// <param name="ReadOnly">Whether it refuses writes.</param>
/// <param name="Reused">Whether it was bound before, and is used again (<see cref="ConfigureRequest.NoOverlap"/>).</param>
/// <param name="Warnings">Sentences for the user, such as that the backing file is no multiple of a sector.</param>
public sealed record ConfigureReply(
    int Device, string Path, long Size, bool ReadOnly, bool Reused, IReadOnlyList<string> Warnings);
