using System.Globalization;
using Org.BouncyCastle.Crypto.Digests;

namespace LoopDaemon.CommandLine.Keys;

/// <summary>The losetup of loop-AES, which hashed with what <c>--phash</c> named, or else with the one of SHA-256, SHA-384 and
/// SHA-512 that belongs to the size of the key. XOR took the pass phrase itself, as in util-linux 2.11, whatever the hash.
/// Sources: losetup(8) and set_loop of loop-AES's patch to util-linux; aespipe 2.4 answers alike.</summary>
internal sealed class LoopAesKeyDerivation : KeyDerivation
{
    private const string Unhashed1 = "unhashed1";

    // The ciphers of loop-AES, and the bytes of key that a name without a size stood for.
    private static readonly Dictionary<string, int> Ciphers = new(StringComparer.OrdinalIgnoreCase)
    {
        ["aes"] = 16,
        ["twofish"] = 16,
        ["blowfish"] = 16,
        ["serpent"] = 16,
        ["mars"] = 16,
        ["rc6"] = 16,
        ["tripledes"] = 21,
        ["3des"] = 24,
        ["des3_ede"] = 24,
    };

    private static readonly OrderedDictionary<string, Hash> Hashes = new(StringComparer.OrdinalIgnoreCase)
    {
        ["sha256"] = (passphrase, key) => PassphraseHash.Digest(new Sha256Digest(), passphrase, key),
        ["sha384"] = (passphrase, key) => PassphraseHash.Digest(new Sha384Digest(), passphrase, key),
        ["sha512"] = (passphrase, key) => PassphraseHash.Digest(new Sha512Digest(), passphrase, key),
        ["rmd160"] = Ripemd160,
        [Unhashed1] = SixBitsPerCharacter,
        ["unhashed2"] = (passphrase, key) => CopyUnhashed(passphrase, key),
    };

    private readonly string? _hash;
    private readonly int? _keyBytes;

    /// <param name="hash">loop-AES's name of a hash, or null for the one that belongs to the key's size.</param>
    /// <param name="keyBytes">The key's length, at most 32 bytes, or null for the one in the transfer's name. loop-AES had no
    /// option for it.</param>
    /// <exception cref="CommandException">There is no such hash.</exception>
    internal LoopAesKeyDerivation(string? hash, int? keyBytes)
    {
        if (hash is not null && !Hashes.ContainsKey(hash))
            throw new CommandException($"there is no --phash {hash}, only {string.Join(", ", Hashes.Keys)}");
        _hash = hash;
        _keyBytes = keyBytes;
    }

    private delegate void Hash(ReadOnlySpan<byte> passphrase, Span<byte> key);

    /// <inheritdoc/>
    protected override int Derive(ReadOnlySpan<byte> passphrase, string transfer, Span<byte> key)
    {
        if (IsXor(transfer))
            return CopyUnhashed(passphrase, key);
        int size = _keyBytes
            ?? (Unhashed1.Equals(_hash, StringComparison.OrdinalIgnoreCase) ? Unhashed1KeyBytes(passphrase) : NamedKeyBytes(transfer));
        string hash = _hash ?? size switch { 24 => "sha384", 32 => "sha512", _ => "sha256" };
        Hashes[hash](passphrase, key);
        return size;
    }

    /// <summary>The size in a name of the form AES256 or rc6-128; the size that loop-AES took where one of its ciphers is named
    /// without; and the longest key for what is none of them, such as aes-cbc.</summary>
    private static int NamedKeyBytes(string transfer)
    {
        // loop-AES: a smaller number belongs to the name.
        const int FewestBits = 40;
        string name = transfer.AsSpan().TrimEnd("0123456789").ToString();
        if (int.TryParse(transfer.AsSpan(name.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int bits) && bits >= FewestBits)
            return Ciphers.ContainsKey(name.TrimEnd('-')) ? Math.Min(bits / 8, MaxKeyBytes) : MaxKeyBytes;
        return Ciphers.GetValueOrDefault(transfer, MaxKeyBytes);
    }

    private static void Ripemd160(ReadOnlySpan<byte> passphrase, Span<byte> key)
    {
        const int BufferBytesAfterA = 129;
        PassphraseHash.Ripemd160Twice(passphrase, passphrase[..Math.Min(passphrase.Length, BufferBytesAfterA)], key);
    }

    /// <summary>The way of the first loop-AES: characters as digits of base 64, from the least significant bit on, the pass
    /// phrase over and over.</summary>
    private static void SixBitsPerCharacter(ReadOnlySpan<byte> passphrase, Span<byte> key)
    {
        const int BitsPerCharacter = 6;
        for (int i = 0; i * BitsPerCharacter < key.Length * 8; i++)
        {
            (int index, int shift) = Math.DivRem(i * BitsPerCharacter, 8);
            int bits = SixBits(passphrase[i % passphrase.Length]) << shift;
            key[index] |= (byte)bits;
            if (index + 1 < key.Length)
                key[index + 1] |= (byte)(bits >> 8);
        }
    }

    private static int SixBits(byte character) => (char)character switch
    {
        >= '0' and <= '9' => character - '0',
        >= 'A' and <= 'Z' => character - 'A' + 10,
        >= 'a' and <= 'z' => character - 'a' + 36,
        '.' => 62,
        '/' => 63,
        _ => character & 63,
    };

    /// <summary>The first loop-AES's key grew with the pass phrase, which it wanted to have 20 characters at least.</summary>
    private static int Unhashed1KeyBytes(ReadOnlySpan<byte> passphrase) => passphrase.Length switch { >= 43 => 32, >= 32 => 24, _ => 16 };
}
