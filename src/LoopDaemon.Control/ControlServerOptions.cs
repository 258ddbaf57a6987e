namespace LoopDaemon.Control;

/// <summary>What a control server says of itself, and its limits.</summary>
public sealed record ControlServerOptions
{
    /// <summary>The daemon's version, for GetInfo.</summary>
    public required string Version { get; init; }

    /// <summary>Where to read about the daemon, for GetInfo.</summary>
    public string Url { get; init; } = "";

    /// <summary>Most connections at a time; a further one is closed at once.</summary>
    public int MaxConnections { get; init; } = 1024;

    /// <summary>Most connections of one user at a time, so that none can keep the others out.</summary>
    public int MaxConnectionsPerUser { get; init; } = 512;

    /// <summary>How long a client may take to make room for its reply before its connection is ended.</summary>
    public TimeSpan SendTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a client may take from a message's first byte to its last before its connection is ended.
    /// Between messages it may idle for ever.</summary>
    public TimeSpan MessageTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long calls under way may take to finish when the server stops.</summary>
    public TimeSpan StopTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Takes a sentence for the daemon's log, and the exception that led to it if there is one. It is called on
    /// any thread, and never given a key or an option's value.</summary>
    public Action<string, Exception?> Log { get; init; } = (_, _) => { };
}
