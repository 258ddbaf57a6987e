namespace LoopDaemon.Transfers;

/// <summary>A transfer whose disposal tells the registry that one use of its type has ended.</summary>
internal sealed class LeasedTransfer(ITransfer transfer, Action giveBack) : ITransfer
{
    private Action? _giveBack = giveBack;

    public string Name => transfer.Name;

    public int Number => transfer.Number;

    public int SectorSize => transfer.SectorSize;

    public bool IsIdentity => transfer.IsIdentity;

    public void Decode(Span<byte> data, ulong firstSector) => transfer.Decode(data, firstSector);

    public void Encode(ReadOnlySpan<byte> source, Span<byte> destination, ulong firstSector) =>
        transfer.Encode(source, destination, firstSector);

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _giveBack, null) is not { } end)
            return;
        transfer.Dispose();
        end();
    }
}
