using System.Collections.ObjectModel;
using LoopDaemon.Linux;

namespace LoopDaemon.Control;

/// <summary>One transfer of a pipeline.</summary>
public sealed record TransferRequest
{
    /// <summary>Its registered name.</summary>
    public required string Name { get; init; }

    /// <summary>Its options by name; empty for none. Never a key: options may be logged.</summary>
    public IReadOnlyDictionary<string, string> Options { get; init; } = ReadOnlyDictionary<string, string>.Empty;

    /// <summary>Where to read its key (<see cref="KeyDescriptor"/>), or null. Whoever makes the request keeps it.</summary>
    public FileDescriptor? Key { get; init; }
}
