namespace LoopDaemon.Transfers;

/// <summary>Whether a transfer takes a key.</summary>
public enum KeyRule
{
    /// <summary>It takes none, and giving one is an error.</summary>
    None,
    /// <summary>It needs one of at least one byte.</summary>
    Required,
}

/// <summary>A kind of transfer that can be registered: the <c>loop_func_table</c> of the kernel's loop driver.</summary>
public sealed class TransferType
{
    /// <summary>Numbers are below this: <c>MAX_LO_CRYPT</c> of linux/loop.h.</summary>
    public const int NumberLimit = 20;

    /// <summary>The one number that any count of types may share, being told apart by name alone:
    /// <c>LO_CRYPT_CRYPTOAPI</c> of linux/loop.h. A type that the kernel never had takes it as well.</summary>
    public const int SharedNumber = 18;

    /// <summary>The name: not empty, and not of digits alone.</summary>
    public required string Name { get; init; }

    /// <summary>Other names for it, under the same rule.</summary>
    public IReadOnlyList<string> Aliases { get; init; } = [];

    /// <summary>The loop driver's number, 0 to 19.</summary>
    public required int Number { get; init; }

    /// <summary>What it does, in one line.</summary>
    public required string Summary { get; init; }

    /// <summary>Whether it takes a key.</summary>
    public KeyRule KeyRule { get; init; }

    /// <summary>The names of the options that it understands.</summary>
    public IReadOnlyList<string> OptionNames { get; init; } = [];

    /// <summary>Makes one. The key rule and the option names have been checked; a <see cref="TransferException"/> says
    /// what is wrong with a value.</summary>
    public required Func<TransferSpec, ITransfer> Factory { get; init; }

    internal IEnumerable<string> AllNames => Aliases.Prepend(Name);
}

/// <summary>A line of the registry's list.</summary>
/// <param name="Name">The name.</param>
/// <param name="Aliases">Other names.</param>
/// <param name="Number">The loop driver's number.</param>
/// <param name="Summary">What it does, in one line.</param>
/// <param name="KeyRule">Whether it takes a key.</param>
/// <param name="OptionNames">The options that it understands.</param>
/// <param name="UseCount">How many transfers of this type exist.</param>
public sealed record TransferInfo(
    string Name, IReadOnlyList<string> Aliases, int Number, string Summary, KeyRule KeyRule,
    IReadOnlyList<string> OptionNames, int UseCount);
