using System.Globalization;
using System.Numerics;

namespace LoopDaemon.CommandLine;

/// <summary>Sizes as util-linux reads them (parse_size of lib/strutils.c): decimal, 0x hexadecimal or 0 octal, with an
/// optional suffix: K to Y and KiB to YiB are powers of 1024, KB to YB powers of 1000, where only the i minds its case; a
/// fraction only before a suffix; spaces and a plus may lead; never negative.</summary>
internal static class SizeText
{
    private const string Units = "KMGTPEZY";

    /// <summary>Reads a size.</summary>
    /// <param name="text">The text.</param>
    /// <param name="what">What it is, for the message: "offset".</param>
    /// <returns>The size in bytes.</returns>
    /// <exception cref="CommandException">It is no size, or too large for 63 bits.</exception>
    internal static long Parse(string text, string what) =>
        TryParse(text, out BigInteger bytes)
            ? bytes <= long.MaxValue ? (long)bytes : throw new CommandException($"failed to parse {what}: '{text}': Numerical result out of range")
            : throw new CommandException($"failed to parse {what}: '{text}': Invalid argument");

    private static bool TryParse(string text, out BigInteger bytes)
    {
        bytes = 0;
        ReadOnlySpan<char> rest = text.AsSpan().TrimStart();
        if (rest.StartsWith("+"))
            rest = rest[1..];
        if (!TryTakeNumber(ref rest, out BigInteger whole))
            return false;
        BigInteger fraction = 0, fractionScale = 1;
        bool hasFraction = rest.StartsWith(".");
        if (hasFraction)
        {
            rest = rest[1..];
            int digits = CountDigits(rest, 10);
            if (digits > 0)
                fraction = BigInteger.Parse(rest[..digits], NumberStyles.None, CultureInfo.InvariantCulture);
            fractionScale = BigInteger.Pow(10, digits);
            rest = rest[digits..];
        }
        if (rest.IsEmpty)
        {
            bytes = whole;
            return !hasFraction;
        }
        int power = Units.IndexOf(char.ToUpperInvariant(rest[0]), StringComparison.Ordinal) + 1;
        if (power == 0)
            return false;
        int radix = rest[1..] switch
        {
            "" => 1024,
            "iB" or "ib" => 1024,
            "B" or "b" => 1000,
            _ => 0,
        };
        if (radix == 0)
            return false;
        BigInteger unit = BigInteger.Pow(radix, power);
        bytes = whole * unit + fraction * unit / fractionScale;
        return true;
    }

    private static bool TryTakeNumber(ref ReadOnlySpan<char> text, out BigInteger number)
    {
        number = 0;
        int radix = 10, skip = 0;
        if (text.StartsWith("0x", StringComparison.OrdinalIgnoreCase))
            (radix, skip) = (16, 2);
        else if (text.Length > 1 && text[0] == '0' && char.IsAsciiDigit(text[1]))
            (radix, skip) = (8, 1);
        int digits = CountDigits(text[skip..], radix);
        if (digits == 0)
            return false;
        foreach (char digit in text.Slice(skip, digits))
            number = number * radix + Convert.ToInt32(digit.ToString(), 16);
        text = text[(skip + digits)..];
        return true;
    }

    private static int CountDigits(ReadOnlySpan<char> text, int radix)
    {
        int count = 0;
        while (count < text.Length && char.IsAsciiHexDigit(text[count]) && Convert.ToInt32(text[count].ToString(), 16) < radix)
            count++;
        return count;
    }
}
