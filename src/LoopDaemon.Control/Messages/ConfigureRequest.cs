using LoopDaemon.Linux;

namespace LoopDaemon.Control;

/// <summary>What to bind to which device, and how.</summary>
public sealed record ConfigureRequest
{
    /// <summary>The device's number, not negative; null for the first free one.</summary>
    public int? Device { get; init; }

    /// <summary>The opened backing file. Whoever makes the request keeps it: the server closes its own when the call is
    /// over, so a service that goes on using the file duplicates it.</summary>
    public required FileDescriptor BackingFile { get; init; }

    /// <summary>Where the device begins in the backing file, in bytes, not negative.</summary>
    public long Offset { get; init; }

    /// <summary>Most bytes that the device has, not negative; 0 for no limit.</summary>
    public long SizeLimit { get; init; }

    /// <summary>Whether to refuse writes even where the backing file would take them.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>Whether the device clears itself at its last close.</summary>
    public bool Autoclear { get; init; }

    /// <summary>The pipeline, in the order in which a write passes it; empty for none.</summary>
    public IReadOnlyList<TransferRequest> Transfers { get; init; } = [];

    /// <summary>Whether discards reach the backing file although a transfer encrypts it (which shows what is in use).</summary>
    public bool AllowDiscards { get; init; }

    /// <summary>Whether the transfers count sectors from <see cref="Offset"/>; otherwise from the start of the backing
    /// file, as the kernel did.</summary>
    public bool SectorsFromOffset { get; init; }
}
