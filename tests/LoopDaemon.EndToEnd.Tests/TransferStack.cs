namespace LoopDaemon.EndToEnd.Tests;

/// <summary>A pipeline as loopctl is told of it, and an independent account of what it does to the bytes.</summary>
internal sealed class TransferStack
{
    private const int SectorBytes = 512;

    private readonly byte[][] _keys;
    private readonly bool _allowDiscards;

    private TransferStack(Loopd loopd, bool allowDiscards, params byte[][] keys)
    {
        _keys = keys;
        _allowDiscards = allowDiscards;
        // The daemon would leave an identity device to the kernel, and have nothing to do with its data.
        Arguments = keys.Length == 0 ? ["--passthrough=off"]
            : [.. keys.SelectMany((key, i) => new[] { "-e", $"xor:key-file={loopd.MakeFile($"key{i}", key)}" })];
        if (allowDiscards)
            Arguments = [.. Arguments, "--allow-discards"];
    }

    /// <summary>What to tell loopctl.</summary>
    internal string[] Arguments { get; private init; }

    internal bool Discards => _keys.Length == 0 || _allowDiscards;

    /// <summary>The stack of a name, as test data spells it.</summary>
    internal static TransferStack Make(Loopd loopd, string name) => name switch
    {
        "identity" => new(loopd, allowDiscards: false),
        "passthrough" => PassedThrough(loopd),
        "xor" => new(loopd, allowDiscards: false, Key(31)),
        "xor, xor" => new(loopd, allowDiscards: false, Key(31), Key(45)),
        "xor with discards" => new(loopd, allowDiscards: true, Key(31)),
        _ => throw new ArgumentException(name, nameof(name)),
    };

    private static TransferStack PassedThrough(Loopd loopd)
    {
        loopd.SkipUnlessPassthrough();
        return new(loopd, allowDiscards: false) { Arguments = ["--passthrough=on"] };
    }

    /// <summary>A stack of XOR with given keys; the first is nearest the data.</summary>
    internal static TransferStack Xor(Loopd loopd, params byte[][] keys) => new(loopd, allowDiscards: false, keys);

    /// <summary>A key of random bytes, another one for each length.</summary>
    internal static byte[] Key(int bytes)
    {
        byte[] key = new byte[bytes];
        new Random(bytes).NextBytes(key);
        return key;
    }

    /// <summary>What the backing file must hold for a device that shows <paramref name="plain"/>, by the formula of
    /// <c>transfer_xor</c> (Linux 5.8, drivers/block/loop.c).</summary>
    internal byte[] Encode(ReadOnlySpan<byte> plain)
    {
        byte[] stored = plain.ToArray();
        foreach (byte[] key in _keys)
        {
            for (int i = 0; i < stored.Length; i++)
                stored[i] ^= key[(i & 511) % key.Length];
        }
        return stored;
    }

    /// <summary>What a device must show of a backing file. With discards allowed a stored sector of zeros is a hole.</summary>
    internal byte[] Decode(ReadOnlySpan<byte> stored)
    {
        // XOR undoes itself.
        byte[] plain = Encode(stored);
        for (int i = 0; _allowDiscards && i < plain.Length; i += SectorBytes)
        {
            if (!stored.Slice(i, SectorBytes).ContainsAnyExcept((byte)0))
                plain.AsSpan(i, SectorBytes).Clear();
        }
        return plain;
    }
}
