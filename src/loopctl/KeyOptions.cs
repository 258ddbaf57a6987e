namespace LoopDaemon.CommandLine;

/// <summary>How a pass phrase is given and becomes a key: the options of the losetups that had ciphers.</summary>
internal sealed record KeyOptions
{
    /// <summary>The descriptor that the pass phrase is read from (<c>-p</c>); null to ask for it on the terminal.</summary>
    internal int? PassDescriptor { get; init; }

    /// <summary>How many bits of a hash are the key (<c>-k</c>).</summary>
    internal int? KeyBits { get; init; }

    /// <summary>The name of the hash that makes the key (<c>-H</c>).</summary>
    internal string? PassHash { get; init; }

    /// <summary>Whether the pass phrase is the key as it is (<c>-N</c>).</summary>
    internal bool NoHash { get; init; }

    /// <summary>The losetup whose rules hold (<c>--key-compat</c>).</summary>
    internal string? Compatibility { get; init; }

    /// <summary>Whether the pass phrase is asked for twice.</summary>
    internal bool Verify { get; init; }
}
