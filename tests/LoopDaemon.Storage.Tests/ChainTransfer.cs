using LoopDaemon.Transfers;

namespace LoopDaemon.Storage.Tests;

/// <summary>A toy cipher: as in a wide-block cipher, each byte of a stored sector depends on all of the plain one and on
/// the sector's number, so that a sector torn between two writes decodes to garbage throughout.</summary>
internal sealed class ChainTransfer(byte seed, int sectorSize = 512) : ITransfer
{
    internal bool IsDisposed { get; private set; }

    public string Name => "chain";

    public int Number => 18;

    public int SectorSize => sectorSize;

    public bool IsIdentity => false;

    public void Encode(ReadOnlySpan<byte> source, Span<byte> destination, ulong firstSector)
    {
        source.CopyTo(destination);
        for (int at = 0; at < source.Length; at += sectorSize)
        {
            Span<byte> sector = destination.Slice(at, sectorSize);
            byte number = NumberOf(firstSector, at);
            for (int i = 0; i < sector.Length; i++)
                sector[i] = number = (byte)((sector[i] + number) * 5 + 1);
            // And backwards, so that the first byte depends on the last.
            for (int i = sector.Length - 2; i >= 0; i--)
                sector[i] += sector[i + 1];
        }
    }

    public void Decode(Span<byte> data, ulong firstSector)
    {
        // 5 * 205 = 1025 = 1 modulo 256.
        const int InverseOfFive = 205;
        for (int at = 0; at < data.Length; at += sectorSize)
        {
            Span<byte> sector = data.Slice(at, sectorSize);
            for (int i = 0; i < sector.Length - 1; i++)
                sector[i] -= sector[i + 1];
            byte previous = NumberOf(firstSector, at);
            for (int i = 0; i < sector.Length; i++)
            {
                byte stored = sector[i];
                sector[i] = (byte)((stored - 1) * InverseOfFive - previous);
                previous = stored;
            }
        }
    }

    public void Dispose() => IsDisposed = true;

    private byte NumberOf(ulong firstSector, int at) => (byte)((firstSector + (ulong)(at / 512)) * 7 + seed);
}
