using System.Security.Cryptography;
using Org.BouncyCastle.Crypto;
using Org.BouncyCastle.Crypto.Digests;

namespace LoopDaemon.CommandLine.Keys;

/// <summary>The hashes that losetup made keys with. All come from one library: .NET has no RIPEMD-160, and would load OpenSSL
/// for the others. Its digests wipe their buffers when they are done.</summary>
internal static class PassphraseHash
{
    /// <summary>Fills a key with the first bytes of a digest.</summary>
    internal static void Digest(IDigest digest, ReadOnlySpan<byte> passphrase, Span<byte> key)
    {
        Span<byte> output = stackalloc byte[digest.GetDigestSize()];
        digest.BlockUpdate(passphrase);
        digest.DoFinal(output);
        output[..Math.Min(output.Length, key.Length)].CopyTo(key);
        CryptographicOperations.ZeroMemory(output);
    }

    /// <summary>Fills a key with the first bytes of the RIPEMD-160 digest of the pass phrase and, from byte 20 on, that of the
    /// letter A and the pass phrase: the way of the international kernel patch (kerneli.org) to longer keys.</summary>
    /// <param name="passphrase">The pass phrase.</param>
    /// <param name="afterA">What follows the A: the pass phrase, or as much of it as the program's buffer held.</param>
    /// <param name="key">At most 40 bytes.</param>
    internal static void Ripemd160Twice(ReadOnlySpan<byte> passphrase, ReadOnlySpan<byte> afterA, Span<byte> key)
    {
        var digest = new RipeMD160Digest();
        int first = Math.Min(digest.GetDigestSize(), key.Length);
        Digest(digest, passphrase, key[..first]);
        digest.Update((byte)'A');
        Digest(digest, afterA, key[first..]);
    }
}
