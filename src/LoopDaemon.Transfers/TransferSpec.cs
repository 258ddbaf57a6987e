using System.Collections.ObjectModel;

namespace LoopDaemon.Transfers;

/// <summary>Which transfer is wanted, and with what.</summary>
/// <param name="Name">A registered name or alias, or a number of the loop driver in digits.</param>
/// <param name="Options">The transfer's own options.</param>
/// <param name="Key">The key, which stays the caller's: a transfer takes from it what it needs when it is created.</param>
public sealed record TransferSpec(string Name, IReadOnlyDictionary<string, string> Options, SecretKey? Key)
{
    /// <summary>A transfer without options.</summary>
    /// <param name="name">A registered name or alias, or a number of the loop driver in digits.</param>
    /// <param name="key">The key, which stays the caller's.</param>
    public TransferSpec(string name, SecretKey? key = null) : this(name, ReadOnlyDictionary<string, string>.Empty, key)
    {
    }
}
