using System.Buffers.Binary;
using CsCheck;

namespace LoopDaemon.Devices.Tests;

/// <summary>The contents of an image, and the logical sector of the device it is read as.</summary>
public sealed record DiskContents(byte[] Bytes, int SectorBytes);

/// <summary>Small images with tables that are right, or almost.</summary>
internal static class RandomTables
{
    private const int ImageBytes = 128 << 10;

    /// <summary>As many sectors behind the first may be boot records, so that a link often leads to one.</summary>
    private const int RecordSectors = 60;

    /// <summary>The sector where the kernel looks for Acorn's tables first, whose checksum is easily right by chance.</summary>
    private const int AcornBootBlock = 3072;

    private static readonly Gen<byte[]> GenEntry = Gen.Select(
        Gen.Frequency((60, Gen.Const((byte)0)), (6, Gen.Const((byte)0x80)), (1, Gen.Byte)),
        Gen.Frequency((60, Gen.Const((byte)0x83)), (40, Gen.OneOf<byte>(0x05, 0x0F, 0x85)), (8, Gen.Const((byte)0)), (1, Gen.Const((byte)0xEE))),
        Gen.Frequency((8, Gen.UInt[0, RecordSectors]), (3, Gen.UInt[0, 300]), (1, Gen.UInt)),
        Gen.Frequency((8, Gen.UInt[1, 60]), (3, Gen.Const(0U)), (2, Gen.UInt[1, 400]), (1, Gen.UInt)),
        (indicator, type, first, count) =>
        {
            byte[] entry = new byte[16];
            entry[0] = indicator;
            entry[4] = type;
            BinaryPrimitives.WriteUInt32LittleEndian(entry.AsSpan(8), first);
            BinaryPrimitives.WriteUInt32LittleEndian(entry.AsSpan(12), count);
            return entry;
        });

    /// <summary>The last 66 bytes of a boot record.</summary>
    private static readonly Gen<byte[]> GenRecord = Gen.Select(
        GenEntry.Array[4], Gen.Frequency((40, Gen.Const<byte[]>([0x55, 0xAA])), (1, Gen.Byte.Array[2])),
        (entries, signature) => (byte[])[.. entries.SelectMany(entry => entry), .. signature]);

    /// <summary>What sfdisk and sgdisk make.</summary>
    private static readonly Lazy<byte[][]> Intact = new(() =>
    [
        Make("label: dos\n1: start=1, size=7\n2: start=10, size=200, type=5\n4: start=220, size=36\n5: start=12, size=10\n6: start=30, size=40\n7: start=80, size=20\n"),
        Make("label: gpt\nfirst-lba: 34\n1: start=34, size=6\n2: start=100, size=100\n9: start=40, size=60\n"),
        Make("label: gpt\nfirst-lba: 34\n1: start=34, size=6\n2: start=40, size=6\n", "-h", "1:2"),
    ]);

    /// <summary>Where the bytes are in them that are not zero.</summary>
    private static readonly Lazy<int[][]> Used = new(() =>
        [.. Intact.Value.Select(image => Enumerable.Range(0, image.Length).Where(i => image[i] != 0).ToArray())]);

    /// <summary>A master boot record, and others behind it.</summary>
    internal static Gen<DiskContents> GenBootRecords { get; } = Gen.Select(
        Gen.Frequency((3, Gen.Const(512)), (1, Gen.OneOf(1024, 2048))),
        GenRecord,
        Gen.Frequency((3, GenRecord), (1, Gen.Const<byte[]>([]))).Array[RecordSectors],
        (sectorBytes, first, others) =>
        {
            byte[] image = new byte[ImageBytes];
            first.CopyTo(image, 446);
            for (int i = 0; i < others.Length; i++)
            {
                int offset = (i + 1) * sectorBytes;
                if (offset != AcornBootBlock)
                    others[i].CopyTo(image, offset + 446);
            }
            return new DiskContents(image, sectorBytes);
        });

    /// <summary>A table that sfdisk or sgdisk made, with a few bytes changed, mostly in it, and the checksums made right
    /// again, so that the change is not noticed at once, or not.</summary>
    internal static Gen<DiskContents> GenDamaged { get; } = Gen.Select(
        Gen.Int[0, 2],
        Gen.Select(Gen.Int[0, int.MaxValue], Gen.Int[-8, 8], Gen.Byte).Array[1, 4],
        Gen.Int[0, 2],
        (table, changes, sealing) =>
        {
            byte[] image = [.. Intact.Value[table]];
            int[] used = Used.Value[table];
            foreach ((int place, int nudge, byte value) in changes)
                image[Math.Clamp(used[place % used.Length] + nudge, 0, image.Length - 1)] = value;
            var forge = new GptForge(image, 512);
            return new DiskContents(table == 0 || sealing == 0 ? image : sealing == 1 ? forge.SealHeader() : forge.Seal(), 512);
        });

    private static byte[] Make(string script, params string[] hybrid)
    {
        using var image = new DiskImage(ImageBytes);
        image.Sfdisk("grain: 512\n" + script);
        if (hybrid.Length > 0)
            image.Sgdisk(hybrid);
        return image.Contents;
    }
}
