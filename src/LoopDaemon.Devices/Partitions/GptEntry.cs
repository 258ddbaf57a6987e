using System.Buffers.Binary;

namespace LoopDaemon.Devices;

/// <summary>An entry of a GUID partition table (UEFI specification 2.10, 5.3.3).</summary>
/// <param name="Type">The type of the partition.</param>
/// <param name="FirstSector">Its first sector.</param>
/// <param name="LastSector">Its last sector.</param>
internal readonly record struct GptEntry(Guid Type, ulong FirstSector, ulong LastSector)
{
    /// <summary>The length of an entry in bytes, the only one that the kernel takes.</summary>
    internal const int Bytes = 128;

    internal bool IsUsed => Type != Guid.Empty;

    // type (16), partition (16), first sector (8), last sector (8), attributes (8), name (72)
    internal static GptEntry Read(ReadOnlySpan<byte> entry) => new(
        new Guid(entry[..16]), BinaryPrimitives.ReadUInt64LittleEndian(entry[32..]), BinaryPrimitives.ReadUInt64LittleEndian(entry[40..]));
}
