using System.Security.Cryptography;

namespace LoopDaemon.Transfers;

/// <summary>XOR with a repeated key: the kernel's <c>xor</c>, <c>LO_CRYPT_XOR</c>. It hides nothing from anybody.</summary>
/// <remarks>Bit for bit <c>transfer_xor</c> of Linux 5.8, drivers/block/loop.c:
/// <c>out[i] = in[i] ^ key[(i &amp; 511) % keysize]</c>. The key begins anew with each sector, so only its first 512
/// bytes matter, and the sector's number does not.</remarks>
public sealed class XorTransfer : ITransfer
{
    private readonly byte[] _memory;
    private readonly int _patternOffset;
    private bool _disposed;

    /// <summary>Expands a key to the pattern of a sector; the key itself is not kept.</summary>
    /// <param name="key">One byte or more.</param>
    /// <exception cref="ArgumentException">The key is empty.</exception>
    public XorTransfer(ReadOnlySpan<byte> key)
    {
        if (key.IsEmpty)
            throw new ArgumentException("An XOR key has at least one byte.", nameof(key));
        // Pinned, so that the collector leaves no copy of the key behind, and with room to align the pattern.
        _memory = GC.AllocateUninitializedArray<byte>(PatternXor.PatternBytes + PatternXor.Alignment, pinned: true);
        _patternOffset = PatternXor.AlignedOffset(_memory);
        Span<byte> pattern = _memory.AsSpan(_patternOffset, PatternXor.PatternBytes);
        for (int i = 0; i < pattern.Length; i++)
            pattern[i] = key[i % key.Length];
    }

    /// <summary>The line of the registry.</summary>
    public static TransferType Type { get; } = new()
    {
        Name = "xor",
        Number = 1,
        Summary = "XOR with a repeated key, as in Linux up to 5.15; no protection",
        KeyRule = KeyRule.Required,
        Factory = spec => new XorTransfer(spec.Key!.Bytes),
    };

    /// <inheritdoc/>
    public string Name => Type.Name;

    /// <inheritdoc/>
    public int Number => Type.Number;

    /// <inheritdoc/>
    public int SectorSize => 512;

    /// <inheritdoc/>
    public bool IsIdentity => false;

    /// <inheritdoc/>
    /// <exception cref="ObjectDisposedException">The transfer is disposed.</exception>
    public void Decode(Span<byte> data, ulong firstSector) => Apply(data, data);

    /// <inheritdoc/>
    /// <exception cref="ObjectDisposedException">The transfer is disposed.</exception>
    public void Encode(ReadOnlySpan<byte> source, Span<byte> destination, ulong firstSector) => Apply(source, destination);

    /// <summary>Wipes the key.</summary>
    public void Dispose()
    {
        _disposed = true;
        CryptographicOperations.ZeroMemory(_memory);
    }

    private void Apply(ReadOnlySpan<byte> source, Span<byte> destination)
    {
        // With the wiped pattern, plain data would go to the disk.
        ObjectDisposedException.ThrowIf(_disposed, this);
        PatternXor.Apply(source, destination, _memory.AsSpan(_patternOffset, PatternXor.PatternBytes));
    }
}
