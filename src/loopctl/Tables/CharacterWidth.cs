using System.Globalization;
using System.Text;

namespace LoopDaemon.CommandLine;

/// <summary>How many cells of a terminal a character takes, as the C library's wcwidth(3) has it.</summary>
internal static class CharacterWidth
{
    /// <summary>What wcwidth(3) says of what cannot be printed.</summary>
    internal const int NotPrintable = -1;

    /// <summary>First and last of each range of wide characters (Unicode's EastAsianWidth.txt: W and F).</summary>
    private static ReadOnlySpan<int> Wide =>
    [
        0x1100, 0x115F, 0x231A, 0x231B, 0x2329, 0x232A, 0x23E9, 0x23EC, 0x23F0, 0x23F0, 0x23F3, 0x23F3, 0x25FD, 0x25FE,
        0x2614, 0x2615, 0x2648, 0x2653, 0x267F, 0x267F, 0x2693, 0x2693, 0x26A1, 0x26A1, 0x26AA, 0x26AB, 0x26BD, 0x26BE,
        0x26C4, 0x26C5, 0x26CE, 0x26CE, 0x26D4, 0x26D4, 0x26EA, 0x26EA, 0x26F2, 0x26F3, 0x26F5, 0x26F5, 0x26FA, 0x26FA,
        0x26FD, 0x26FD, 0x2705, 0x2705, 0x270A, 0x270B, 0x2728, 0x2728, 0x274C, 0x274C, 0x274E, 0x274E, 0x2753, 0x2755,
        0x2757, 0x2757, 0x2795, 0x2797, 0x27B0, 0x27B0, 0x27BF, 0x27BF, 0x2B1B, 0x2B1C, 0x2B50, 0x2B50, 0x2B55, 0x2B55,
        0x2E80, 0x303E, 0x3041, 0xA4C6, 0xA960, 0xA97C, 0xAC00, 0xD7A3, 0xF900, 0xFAD9,
        0xFE10, 0xFE19, 0xFE30, 0xFE6B, 0xFF01, 0xFF60, 0xFFE0, 0xFFE6, 0x16FE0, 0x18D08, 0x1AFF0, 0x1B2FB, 0x1F004, 0x1F004,
        0x1F0CF, 0x1F0CF, 0x1F18E, 0x1F18E, 0x1F191, 0x1F19A, 0x1F200, 0x1F320, 0x1F32D, 0x1F335, 0x1F337, 0x1F37C,
        0x1F37E, 0x1F393, 0x1F3A0, 0x1F3CA, 0x1F3CF, 0x1F3D3, 0x1F3E0, 0x1F3F0, 0x1F3F4, 0x1F3F4, 0x1F3F8, 0x1F43E,
        0x1F440, 0x1F440, 0x1F442, 0x1F4FC, 0x1F4FF, 0x1F53D, 0x1F54B, 0x1F54E, 0x1F550, 0x1F567, 0x1F57A, 0x1F57A,
        0x1F595, 0x1F596, 0x1F5A4, 0x1F5A4, 0x1F5FB, 0x1F64F, 0x1F680, 0x1F6C5, 0x1F6CC, 0x1F6CC, 0x1F6D0, 0x1F6D2,
        0x1F6D5, 0x1F6DF, 0x1F6EB, 0x1F6EC, 0x1F6F4, 0x1F6FC, 0x1F7E0, 0x1F7F0, 0x1F90C, 0x1F93A, 0x1F93C, 0x1F945,
        0x1F947, 0x1F9FF, 0x1FA70, 0x1FAFF, 0x20000, 0x3FFFD,
    ];

    /// <summary>Hangul's middle and end sounds, which combine with the sound before them.</summary>
    private static ReadOnlySpan<int> Combining => [0x1160, 0x11FF, 0xD7B0, 0xD7C6, 0xD7CB, 0xD7FB];

    /// <summary>The format characters that show: the soft hyphen, and signs that enclose the numbers behind them.</summary>
    private static ReadOnlySpan<int> VisibleFormat =>
        [0xAD, 0xAD, 0x600, 0x605, 0x6DD, 0x6DD, 0x70F, 0x70F, 0x890, 0x891, 0x8E2, 0x8E2, 0x110BD, 0x110BD, 0x110CD, 0x110CD];

    /// <summary>The cells that a character takes: 0, 1, 2, or <see cref="NotPrintable"/>.</summary>
    internal static int Of(Rune character)
    {
        if (character.Value is >= 0x20 and < 0x7F)
            return 1;
        return Rune.GetUnicodeCategory(character) switch
        {
            UnicodeCategory.Control or UnicodeCategory.OtherNotAssigned
                or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator => NotPrintable,
            UnicodeCategory.NonSpacingMark or UnicodeCategory.EnclosingMark => 0,
            UnicodeCategory.Format => IsIn(VisibleFormat, character.Value) ? 1 : 0,
            _ => IsIn(Wide, character.Value) ? 2 : IsIn(Combining, character.Value) ? 0 : 1,
        };
    }

    private static bool IsIn(ReadOnlySpan<int> ranges, int value)
    {
        // The first range that begins beyond it is the one behind its own, if it has one.
        int low = 0, high = ranges.Length / 2;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (ranges[2 * middle] <= value)
                low = middle + 1;
            else
                high = middle;
        }
        return low > 0 && value <= ranges[2 * low - 1];
    }
}
