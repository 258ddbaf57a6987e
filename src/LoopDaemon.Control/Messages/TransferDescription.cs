namespace LoopDaemon.Control;

/// <summary>A transfer that the daemon knows.</summary>
/// <param name="Name">Its registered name.</param>
/// <param name="Summary">One line for the user.</param>
/// <param name="NeedsKey">Whether it must be given a key.</param>
/// <param name="Number">The kernel's number (LO_CRYPT_* of linux/loop.h), or null where it had none.</param>
public sealed record TransferDescription(string Name, string Summary, bool NeedsKey, int? Number = null);
