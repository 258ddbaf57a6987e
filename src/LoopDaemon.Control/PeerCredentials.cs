namespace LoopDaemon.Control;

/// <summary>Who is at the other end of a socket, as the kernel vouches for it (SO_PEERCRED of unix(7), SO_PEERGROUPS).</summary>
/// <param name="ProcessId">The process that connected; by now the number may belong to another one.</param>
/// <param name="UserId">Its effective user when it connected.</param>
/// <param name="GroupId">Its effective group when it connected.</param>
public sealed record PeerCredentials(uint ProcessId, uint UserId, uint GroupId)
{
    /// <summary>Its supplementary groups when it connected.</summary>
    public IReadOnlyList<uint> SupplementaryGroups { get; init; } = [];

    /// <summary>Whether it was in a group.</summary>
    public bool IsIn(uint group) => group == GroupId || SupplementaryGroups.Contains(group);
}
