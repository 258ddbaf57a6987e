namespace LoopDaemon.Transfers;

/// <summary>Leaves the data as it is: the kernel's <c>none</c>, <c>LO_CRYPT_NONE</c>.</summary>
public sealed class IdentityTransfer : ITransfer
{
    /// <summary>The line of the registry.</summary>
    public static TransferType Type { get; } = new()
    {
        Name = "identity",
        Aliases = ["none"],
        Number = 0,
        Summary = "leaves the data as it is",
        Factory = _ => new IdentityTransfer(),
    };

    /// <inheritdoc/>
    public string Name => Type.Name;

    /// <inheritdoc/>
    public int Number => Type.Number;

    /// <inheritdoc/>
    public int SectorSize => 512;

    /// <inheritdoc/>
    public bool IsIdentity => true;

    /// <inheritdoc/>
    public void Decode(Span<byte> data, ulong firstSector)
    {
    }

    /// <inheritdoc/>
    public void Encode(ReadOnlySpan<byte> source, Span<byte> destination, ulong firstSector) => source.CopyTo(destination);

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
