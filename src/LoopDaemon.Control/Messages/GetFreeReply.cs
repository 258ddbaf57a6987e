namespace LoopDaemon.Control;

/// <summary>The first free device.</summary>
/// <param name="Device">Its number.</param>
/// <param name="Path">The path its block file has, or will have.</param>
public sealed record GetFreeReply(int Device, string Path);
