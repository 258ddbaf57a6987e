namespace LoopDaemon.CommandLine.Keys;

/// <summary>util-linux's own losetup, which never hashed. In all versions the key begins with the first 31 bytes of the pass
/// phrase and goes on with zeros up to 32; they differ in how many of the 32 bytes they gave to the kernel. Sources:
/// set_loop in mount/lomount.c of util-linux 2.10s to 2.20, loopcxt_set_encryption in lib/loopdev.c of 2.21 and 2.22. (Up to 2.20
/// it asked for XOR's pass phrase on the terminal even where it was given a descriptor.)</summary>
/// <param name="version">One of <see cref="Versions"/>.</param>
internal sealed class LosetupKeyDerivation(string version) : KeyDerivation
{
    private static readonly OrderedDictionary<string, KeySize> Sizes = new()
    {
        ["2.11"] = (transfer, _, taken) => IsXor(transfer) ? taken
            : Is(transfer, "des", "2") ? 8
            : throw new CommandException($"losetup 2.11 made keys for xor and des alone, not for {transfer}: try another --key-compat"),
        ["2.12"] = (transfer, _, taken) => IsXor(transfer) ? taken : MaxKeyBytes,
        ["2.12j"] = (_, length, _) => Math.Min(length, MaxKeyBytes),
        ["2.12q"] = (_, _, _) => MaxKeyBytes,
    };

    /// <summary>A version for each rule: 2.11 stands for all before 2.12, 2.12 for those up to 2.12i, 2.12j for those up to
    /// 2.12m, and 2.12q for those from 2.12o to 2.22, the last one with transfers.</summary>
    internal static new IEnumerable<string> Versions => Sizes.Keys;

    /// <inheritdoc/>
    protected override int Derive(ReadOnlySpan<byte> passphrase, string transfer, Span<byte> key) =>
        Sizes[version](transfer, passphrase.Length, CopyUnhashed(passphrase, key));

    /// <summary>How many bytes are the key, given the length of the pass phrase and how much of it was taken.</summary>
    private delegate int KeySize(string transfer, int length, int taken);
}
