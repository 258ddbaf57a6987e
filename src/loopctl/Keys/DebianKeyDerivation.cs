namespace LoopDaemon.CommandLine.Keys;

/// <summary>The losetup of Debian and Ubuntu, which hashed with <see cref="PassphraseHash.Ripemd160Twice"/>, as cryptsetup does
/// with <c>--hash ripemd160</c>. For XOR, and with <c>--nohashpass</c>, it did what util-linux's own did, whatever
/// <c>--keybits</c> said. Sources: set_loop in Debian's patches to util-linux, 10mount.dpatch (2.12p and 2.12r) and
/// mount-hashed-passphrases.patch (2.13 to 2.20). A pass phrase of more than 128 bytes follows the latter; the former hashed
/// what happened to lie behind its buffer.</summary>
/// <param name="keyBytes">The key's length, at most 32 bytes.</param>
internal sealed class DebianKeyDerivation(int keyBytes) : KeyDerivation
{
    /// <inheritdoc/>
    protected override int Derive(ReadOnlySpan<byte> passphrase, string transfer, Span<byte> key)
    {
        if (IsXor(transfer))
        {
            CopyUnhashed(passphrase, key);
            return MaxKeyBytes;
        }
        PassphraseHash.Ripemd160Twice(passphrase, passphrase, key);
        return keyBytes;
    }
}
