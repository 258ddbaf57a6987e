namespace LoopDaemon.Control;

/// <summary>Who makes a call.</summary>
/// <param name="Peer">The process that connected, as the kernel vouches for it.</param>
/// <param name="Connection">The connection's number since the server began, for logs.</param>
public sealed record ControlCaller(PeerCredentials Peer, long Connection)
{
    /// <summary>Whether the caller is root.</summary>
    public bool IsRoot => Peer.UserId == 0;
}
