namespace LoopDaemon.Transfers;

/// <summary>A transfer function: what turns the sectors of a device into the sectors of its backing file and back.</summary>
/// <remarks>A transfer keeps lengths and keeps no state between calls; any number of threads call it at once. It is
/// always given whole sectors. Sector numbers count units of 512 bytes whatever <see cref="SectorSize"/> is, as the
/// <c>real_block</c> of the kernel's <c>loop_func_table.transfer</c> and dm-crypt's IVs do.</remarks>
public interface ITransfer : IDisposable
{
    /// <summary>The registered name, such as <c>xor</c>.</summary>
    string Name { get; }

    /// <summary>The loop driver's number for it (<c>LO_CRYPT_*</c> of linux/loop.h).</summary>
    int Number { get; }

    /// <summary>The bytes that are transformed as one: a power of two from 512 to 4096.</summary>
    int SectorSize { get; }

    /// <summary>Whether <see cref="Decode"/> and <see cref="Encode"/> change nothing, so that they can be left out.</summary>
    bool IsIdentity { get; }

    /// <summary>Turns stored sectors into the device's, in place.</summary>
    /// <param name="data">Whole sectors.</param>
    /// <param name="firstSector">The number of the first, in units of 512 bytes.</param>
    void Decode(Span<byte> data, ulong firstSector);

    /// <summary>Turns the device's sectors into stored ones.</summary>
    /// <param name="source">Whole sectors; left as they are unless <paramref name="destination"/> is the same memory.</param>
    /// <param name="destination">As long as <paramref name="source"/>; the very same memory, or none of it.</param>
    /// <param name="firstSector">The number of the first, in units of 512 bytes.</param>
    void Encode(ReadOnlySpan<byte> source, Span<byte> destination, ulong firstSector);
}
