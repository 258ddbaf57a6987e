using System.Runtime.InteropServices;
using System.Text;

namespace LoopDaemon.CommandLine.Tests;

/// <summary>The C library judges how wide a character is.</summary>
public sealed partial class CharacterWidthTests
{
    private const int LcCtype = 0;

    [Fact]
    public void Every_character_is_as_wide_as_the_C_library_has_it()
    {
        Assert.SkipWhen(setlocale(LcCtype, "C.UTF-8") == 0, "needs the locale C.UTF-8");
        var differences = new List<string>();
        int printable = 0;
        for (int value = 1; value <= 0x10FFFF; value++)
        {
            if (!Rune.IsValid(value))
                continue;
            int expected = iswprint((uint)value) == 0 ? CharacterWidth.NotPrintable : wcwidth(value);
            int width = CharacterWidth.Of(new Rune(value));
            // One of the two knows a version of Unicode that the other does not.
            if (expected == CharacterWidth.NotPrintable || width == CharacterWidth.NotPrintable)
                continue;
            printable++;
            // Unicode 16 moved one.
            if (width != expected && value != 0x1171E)
                differences.Add($"U+{value:X4}: {width}, not {expected}");
        }
        Assert.Empty(differences);
        Assert.True(printable > 280_000, $"only {printable} characters are printable to both");
    }

    [Theory]
    [InlineData(0x00)]
    [InlineData(0x1B)]
    [InlineData(0x7F)]
    [InlineData(0x85)]
    [InlineData(0x2028)]
    [InlineData(0x0378)]
    public void What_cannot_be_printed_has_no_width(int value)
    {
        Assert.SkipWhen(setlocale(LcCtype, "C.UTF-8") == 0, "needs the locale C.UTF-8");
        Assert.Equal(0, iswprint((uint)value));
        Assert.Equal(CharacterWidth.NotPrintable, CharacterWidth.Of(new Rune(value)));
    }

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint setlocale(int category, string locale);

    [LibraryImport("libc")]
    private static partial int iswprint(uint character);

    [LibraryImport("libc")]
    private static partial int wcwidth(int character);
}
