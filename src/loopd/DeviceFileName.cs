using System.Buffers.Text;
using System.Text;

namespace LoopDaemon.Daemon;

/// <summary>The names in the directory of devices: <c>loop0</c>, and for a partition <c>loop0p1</c>.</summary>
internal static class DeviceFileName
{
    /// <summary>Longest name in bytes.</summary>
    internal const int MaxBytes = 16;

    internal static string Of(int device, int partition = 0) => partition == 0 ? $"loop{device}" : $"loop{device}p{partition}";

    /// <summary>Writes a name in UTF-8.</summary>
    /// <returns>Its length in bytes.</returns>
    internal static int Write(int device, int partition, Span<byte> name) => Encoding.UTF8.GetBytes(Of(device, partition), name);

    /// <summary>Reads a name; each device and partition has just one: no sign, no leading zero, no partition 0.</summary>
    internal static bool TryParse(ReadOnlySpan<byte> name, out int device, out int partition)
    {
        partition = 0;
        if (!TryTake(ref name, "loop"u8, out device))
            return false;
        return name.IsEmpty || (TryTake(ref name, "p"u8, out partition) && name.IsEmpty && partition != 0);
    }

    private static bool TryTake(ref ReadOnlySpan<byte> text, ReadOnlySpan<byte> prefix, out int number)
    {
        number = 0;
        if (!text.StartsWith(prefix))
            return false;
        text = text[prefix.Length..];
        bool plain = text.Length > 0 && text[0] is >= (byte)'0' and <= (byte)'9' && (text[0] != '0' || text.Length == 1 || text[1] is < (byte)'0' or > (byte)'9');
        if (!plain || !Utf8Parser.TryParse(text, out number, out int used))
            return false;
        text = text[used..];
        return true;
    }
}
