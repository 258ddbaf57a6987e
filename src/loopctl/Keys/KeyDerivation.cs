using System.Security.Cryptography;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine.Keys;

/// <summary>How a pass phrase becomes the key of a transfer. There were three families of losetup, and util-linux's own
/// changed its mind three times: an image opens only with the rules of the program that made it.</summary>
internal abstract class KeyDerivation
{
    /// <summary>The longest key, in bytes: <c>LO_KEY_SIZE</c> of linux/loop.h.</summary>
    protected const int MaxKeyBytes = 32;

    private const string LatestLosetup = "2.12q", Debian = "debian", LoopAes = "loop-aes";

    /// <summary>What <c>--key-compat</c> may name.</summary>
    internal static IEnumerable<string> Versions => [.. LosetupKeyDerivation.Versions, Debian, LoopAes];

    /// <summary>Chooses the rules that the options of losetup ask for. Without <c>--key-compat</c> an option that only one
    /// family had stands for that family: <c>-H</c> for loop-AES, <c>-k</c> or <c>-N</c> for Debian; without any, it is
    /// util-linux 2.12q to 2.22.</summary>
    /// <param name="version"><c>--key-compat</c>: one of <see cref="Versions"/>.</param>
    /// <param name="keyBits"><c>--keybits</c>: how many bits of a hash are the key, a multiple of 8 up to 256.</param>
    /// <param name="hash"><c>--phash</c>: loop-AES's name of a hash.</param>
    /// <param name="noHash"><c>--nohashpass</c>.</param>
    /// <exception cref="CommandException">A value is none, or options do not go together.</exception>
    internal static KeyDerivation Choose(string? version, int? keyBits, string? hash, bool noHash)
    {
        string rules = version ?? (hash is not null ? LoopAes : keyBits is not null || noHash ? Debian : LatestLosetup);
        if (!Versions.Contains(rules))
            throw new CommandException($"there is no --key-compat {rules}, only {string.Join(", ", Versions)}");

        string? foreign = (rules, hash, noHash, keyBits) switch
        {
            (not LoopAes, not null, _, _) => "--phash",
            (not Debian, _, true, _) => "--nohashpass",
            (not Debian and not LoopAes, _, _, not null) => "--keybits",
            _ => null,
        };
        if (foreign is not null)
            throw new CommandException($"{foreign} does not go with {(version is null ? "--phash" : $"--key-compat {version}")}");
        if (keyBits is { } bits && (bits is < 8 or > MaxKeyBytes * 8 || bits % 8 != 0))
            throw new CommandException($"--keybits must be a multiple of 8 from 8 to {MaxKeyBytes * 8}, not {bits}");

        return rules switch
        {
            LoopAes => new LoopAesKeyDerivation(hash, keyBits / 8),
            Debian when noHash => new LosetupKeyDerivation(LatestLosetup),
            Debian => new DebianKeyDerivation(keyBits / 8 ?? MaxKeyBytes),
            _ => new LosetupKeyDerivation(rules),
        };
    }

    /// <summary>Makes the key, in the form in which it travels to the daemon.</summary>
    /// <param name="passphrase">The pass phrase; wiping it is left to its owner.</param>
    /// <param name="transfer">The transfer as <c>-e</c> names it, without its options: a name or the loop driver's
    /// number.</param>
    /// <returns>A memory file of at most 32 bytes, for <see cref="TransferRequest.Key"/>.</returns>
    /// <exception cref="CommandException">These rules have no key for this transfer.</exception>
    /// <exception cref="LinuxException">There is no memory or no descriptor left.</exception>
    internal FileDescriptor Derive(Passphrase passphrase, string transfer)
    {
        Span<byte> key = stackalloc byte[MaxKeyBytes];
        try
        {
            int length = Derive(passphrase.Bytes, transfer, key);
            return KeyDescriptor.Create(key[..length]);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(key);
        }
    }

    /// <param name="passphrase">The pass phrase, of at least one byte and without a NUL.</param>
    /// <param name="transfer">The transfer's name or number.</param>
    /// <param name="key">32 bytes, all zero.</param>
    /// <returns>How many of them are the key.</returns>
    protected abstract int Derive(ReadOnlySpan<byte> passphrase, string transfer, Span<byte> key);

    /// <summary>No losetup ever hashed a pass phrase for XOR.</summary>
    protected static bool IsXor(string transfer) => Is(transfer, "xor", "1");

    /// <summary>Whether a transfer is named so, or has that number of the loop driver's.</summary>
    protected static bool Is(string transfer, string name, string number) =>
        transfer == number || transfer.Equals(name, StringComparison.OrdinalIgnoreCase);

    /// <summary>The pass phrase itself as key material: its first 31 bytes, as losetup kept the last one of 32 for a
    /// NUL.</summary>
    /// <returns>How many bytes of it were taken.</returns>
    protected static int CopyUnhashed(ReadOnlySpan<byte> passphrase, Span<byte> key)
    {
        int length = Math.Min(passphrase.Length, MaxKeyBytes - 1);
        passphrase[..length].CopyTo(key);
        return length;
    }
}
