using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary>Sizes as util-linux reads them (parse_size of lib/strutils.c, 2.38): decimal, 0x hexadecimal or 0 octal, with an
/// optional suffix: K to Y and KiB to YiB are powers of 1024, KB to YB powers of 1000, where only the i minds its case; a
/// fraction only before a suffix; spaces and a plus may lead; never negative; up to 2^64-1.</summary>
internal static class SizeText
{
    private const string Units = "KMGTPEZY";
    private const string Spaces = " \t\n\v\f\r";

    /// <summary>Reads a size.</summary>
    /// <param name="text">The text.</param>
    /// <param name="what">What it is, for the message: "offset".</param>
    /// <returns>The size in bytes.</returns>
    /// <exception cref="CommandException">It is no size, or too large for 64 bits.</exception>
    internal static ulong Parse(string text, string what)
    {
        Errno error = TryParse(text, out ulong bytes);
        return error == Errno.None ? bytes : throw new CommandException($"failed to parse {what}: '{text}': {error.Describe()}");
    }

    private static Errno TryParse(ReadOnlySpan<char> text, out ulong bytes)
    {
        ReadOnlySpan<char> rest = text.TrimStart(Spaces);
        if (rest.StartsWith('+'))
            rest = rest[1..];
        Errno error = TakeWhole(ref rest, out bytes);
        if (error != Errno.None || rest.IsEmpty)
            return error;
        error = TakeFraction(ref rest, out ulong fraction, out int zeros);
        if (error != Errno.None)
            return error;
        if (rest.IsEmpty || Units.IndexOf(char.ToUpperInvariant(rest[0]), StringComparison.Ordinal) is var unit && unit < 0)
            return Errno.EINVAL;
        ulong radix = rest[1..] switch
        {
            "" or "iB" or "ib" => 1024,
            "B" or "b" => 1000,
            _ => 0,
        };
        if (radix == 0)
            return Errno.EINVAL;
        if (!TryScale(ref bytes, radix, unit + 1))
            return Errno.ERANGE;
        bytes += Scale(fraction, zeros, radix, unit + 1);
        return Errno.None;
    }

    /// <summary>The number before the point, in the base that its beginning tells, as strtoumax(3) with base 0.</summary>
    private static Errno TakeWhole(ref ReadOnlySpan<char> rest, out ulong number)
    {
        uint radix = 10;
        if (rest.StartsWith("0x", StringComparison.OrdinalIgnoreCase) && rest.Length > 2 && char.IsAsciiHexDigit(rest[2]))
        {
            radix = 16;
            rest = rest[2..];
        }
        else if (rest.StartsWith('0'))
        {
            radix = 8;
        }
        return TakeDigits(ref rest, radix, out number);
    }

    private static Errno TakeDigits(ref ReadOnlySpan<char> rest, uint radix, out ulong number)
    {
        number = 0;
        bool fits = true;
        int count = 0;
        for (; count < rest.Length && char.IsAsciiHexDigit(rest[count]); count++)
        {
            uint digit = rest[count] <= '9' ? rest[count] - (uint)'0' : (rest[count] | 0x20u) - 'a' + 10;
            if (digit >= radix)
                break;
            fits &= number <= (ulong.MaxValue - digit) / radix;
            number = number * radix + digit;
        }
        rest = rest[count..];
        return count == 0 ? Errno.EINVAL : fits ? Errno.None : Errno.ERANGE;
    }

    /// <summary>What stands between the point and the suffix. The zeros that lead it are counted apart.</summary>
    private static Errno TakeFraction(ref ReadOnlySpan<char> rest, out ulong fraction, out int zeros)
    {
        (fraction, zeros) = (0, 0);
        // A point at the very end stays, and is no suffix; several in a row count as one.
        while (fraction == 0 && rest.Length > 1 && rest[0] == '.')
        {
            rest = rest[1..];
            int leading = rest.Length - rest.TrimStart('0').Length;
            zeros += leading;
            rest = rest[leading..];
            if (rest.IsEmpty || !char.IsAsciiDigit(rest[0]))
                continue;
            Errno error = TakeDigits(ref rest, 10, out fraction);
            if (error != Errno.None)
                return error;
        }
        return Errno.None;
    }

    private static bool TryScale(ref ulong number, ulong radix, int power)
    {
        for (; power > 0; power--)
        {
            if (ulong.MaxValue / radix < number)
                return false;
            number *= radix;
        }
        return true;
    }

    /// <summary>A fraction of a unit, added up digit by digit from the last one, each rounded for itself. A unit beyond 64
    /// bits (Z, Y) counts as the largest power within.</summary>
    private static ulong Scale(ulong fraction, int zeros, ulong radix, int power)
    {
        if (fraction == 0)
            return 0;
        ulong unit = 1;
        TryScale(ref unit, radix, power);
        ulong divisor = 10;
        while (divisor < fraction)
            Grow(ref divisor, ref fraction);
        for (; zeros > 0; zeros--)
            Grow(ref divisor, ref fraction);
        ulong sum = 0;
        for (ulong place = 1; fraction > 0; fraction /= 10, place *= 10)
        {
            ulong digit = fraction % 10;
            if (digit > 0 && divisor / place / digit is > 0 and var part)
                sum += unit / part;
        }
        return sum;
    }

    /// <summary>Takes the divisor one decimal place on; once it is full, the fraction gives up its last place instead.</summary>
    private static void Grow(ref ulong divisor, ref ulong fraction)
    {
        if (divisor <= ulong.MaxValue / 10)
            divisor *= 10;
        else
            fraction /= 10;
    }
}
