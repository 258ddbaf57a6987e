using System.Security.Cryptography;

namespace LoopDaemon.Transfers;

/// <summary>The bytes of a key, in memory that the garbage collector does not copy and that is wiped on disposal.</summary>
public sealed class SecretKey : IDisposable
{
    /// <summary>The longest key, in bytes: 64 KiB, many times a loop-AES key file of 65 lines.</summary>
    public const int MaxBytes = 64 * 1024;

    private readonly byte[] _bytes;
    private bool _disposed;

    /// <summary>Copies a key; wiping the original is left to its owner.</summary>
    /// <param name="bytes">The key. It may be empty: whether it will do is for the transfer to say.</param>
    /// <exception cref="ArgumentException">The key is longer than <see cref="MaxBytes"/>.</exception>
    public SecretKey(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > MaxBytes)
            throw new ArgumentException($"A key has at most {MaxBytes} bytes.", nameof(bytes));
        _bytes = GC.AllocateUninitializedArray<byte>(bytes.Length, pinned: true);
        bytes.CopyTo(_bytes);
    }

    /// <summary>The key.</summary>
    /// <exception cref="ObjectDisposedException">It has been wiped.</exception>
    public ReadOnlySpan<byte> Bytes
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return _bytes;
        }
    }

    /// <summary>Says how long the key is, and nothing more, so that a log never holds it.</summary>
    public override string ToString() => $"a key of {_bytes.Length} bytes";

    /// <summary>Wipes the key.</summary>
    public void Dispose()
    {
        _disposed = true;
        CryptographicOperations.ZeroMemory(_bytes);
    }
}
