namespace LoopDaemon.Devices;

/// <summary>Whether the kernel may read and write a device's backing file itself, past the daemon.</summary>
public enum Passthrough
{
    /// <summary>Where it can be.</summary>
    Auto,
    /// <summary>It must be possible.</summary>
    On,
    /// <summary>Never: the daemon sees all that is read and written.</summary>
    Off,
}
