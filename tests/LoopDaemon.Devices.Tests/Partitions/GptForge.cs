using System.Buffers.Binary;
using System.IO.Hashing;

namespace LoopDaemon.Devices.Tests;

/// <summary>Changes the primary GPT of an image, and makes the checksums right again.</summary>
internal sealed class GptForge(byte[] image, int sectorBytes)
{
    private Span<byte> Header => image.AsSpan(sectorBytes, 92);

    private Span<byte> Entries => image.AsSpan(2 * sectorBytes, 128 * 128);

    /// <summary>Sets 8 bytes of the header.</summary>
    internal void SetHeader(int offset, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(Header[offset..], value);

    internal void SetEntry(int number, ulong first, ulong last)
    {
        Span<byte> entry = Entries.Slice((number - 1) * 128, 128);
        BinaryPrimitives.WriteUInt64LittleEndian(entry[32..], first);
        BinaryPrimitives.WriteUInt64LittleEndian(entry[40..], last);
    }

    /// <summary>Makes both checksums right, in the backup as well.</summary>
    internal byte[] Seal()
    {
        Entries.CopyTo(image.AsSpan(image.Length - sectorBytes - Entries.Length));
        foreach (int header in (int[])[sectorBytes, image.Length - sectorBytes])
        {
            BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(header + 88), Crc32.HashToUInt32(Entries));
            Seal(image.AsSpan(header, 92));
        }
        return image;
    }

    /// <summary>Makes the checksum of the primary header right.</summary>
    internal byte[] SealHeader()
    {
        Seal(Header);
        return image;
    }

    private static void Seal(Span<byte> header)
    {
        header.Slice(16, 4).Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(header[16..], Crc32.HashToUInt32(header));
    }
}
