using System.Diagnostics;

namespace LoopDaemon.CommandLine.Tests;

/// <summary>The forms of a size, and that the system's own losetup takes and refuses the same ones.</summary>
public sealed class SizeTextTests
{
    [Theory]
    [InlineData("0", 0)]
    [InlineData("00", 0)]
    [InlineData("10", 10)]
    [InlineData("+5", 5)]
    [InlineData(" 5", 5)]
    [InlineData("0x10", 16)]
    [InlineData("0XfF", 255)]
    [InlineData("010", 8)]
    [InlineData("1K", 1024)]
    [InlineData("1k", 1024)]
    [InlineData("1KiB", 1024)]
    [InlineData("1kib", 1024)]
    [InlineData("1KB", 1000)]
    [InlineData("1kb", 1000)]
    [InlineData("3M", 3 << 20)]
    [InlineData("3MB", 3_000_000)]
    [InlineData("2G", 2L << 30)]
    [InlineData("2T", 2L << 40)]
    [InlineData("2P", 2L << 50)]
    [InlineData("7E", 7L << 60)]
    [InlineData("7EB", 7_000_000_000_000_000_000)]
    [InlineData("0x1K", 1024)]
    [InlineData("010K", 8192)]
    [InlineData("1.5K", 1536)]
    [InlineData("1.05K", 1075)]
    [InlineData("1.K", 1024)]
    [InlineData("1.5KB", 1500)]
    [InlineData("0.5MiB", 524288)]
    [InlineData("0Y", 0)]
    [InlineData("9223372036854775807", long.MaxValue)]
    public void A_size_is_read(string text, long bytes) => Assert.Equal(bytes, SizeText.Parse(text, "offset"));

    [Theory]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData("-5")]
    [InlineData("+-5")]
    [InlineData("5 ")]
    [InlineData("foo")]
    [InlineData("0x")]
    [InlineData("0xg")]
    [InlineData("08")]
    [InlineData("0b11")]
    [InlineData("5b")]
    [InlineData("1B")]
    [InlineData("1i")]
    [InlineData("1Ki")]
    [InlineData("1KIB")]
    [InlineData("1KK")]
    [InlineData("1 K")]
    [InlineData("1e3")]
    [InlineData("1,5K")]
    [InlineData("1.5")]
    [InlineData("1.")]
    [InlineData(".5K")]
    [InlineData("1.5x")]
    [InlineData("1.-5K")]
    // losetup takes this one, for no reason to be found.
    [InlineData("1..5K")]
    public void What_is_no_size_is_refused(string text)
    {
        var refused = Assert.Throws<CommandException>(() => SizeText.Parse(text, "offset"));
        Assert.Equal($"failed to parse offset: '{text}': Invalid argument", refused.Message);
    }

    [Theory]
    [InlineData("9223372036854775808")]
    [InlineData("8E")]
    [InlineData("1Z")]
    [InlineData("1.5Y")]
    [InlineData("18446744073709551616")]
    public void A_size_beyond_63_bits_is_out_of_range(string text)
    {
        var refused = Assert.Throws<CommandException>(() => SizeText.Parse(text, "size"));
        Assert.Equal($"failed to parse size: '{text}': Numerical result out of range", refused.Message);
    }

    /// <summary>losetup reads its options before it looks for the file, so it binds nothing here.</summary>
    [Fact]
    public void Losetup_takes_and_refuses_the_same_texts()
    {
        const string Losetup = "/usr/sbin/losetup";
        Assert.SkipUnless(File.Exists(Losetup), "needs losetup");
        string[] numbers = ["0", "5", "+5", " 5", "5 ", "-5", "0x1f", "0x", "017", "08", "1.5", "1.", ".5", "0.5", "1.0", "x", ""];
        string[] suffixes = ["", "K", "k", "M", "m", "G", "T", "P", "p", "KiB", "Kib", "kiB", "KIB", "KB", "Kb", "kB", "B", "i", "Ki", "Kx", "KiBx", "KBx"];
        var differences = new List<string>();
        foreach (string text in numbers.SelectMany(number => suffixes.Select(suffix => number + suffix)))
        {
            bool taken = !RunLosetup(Losetup, text).Contains("failed to parse offset", StringComparison.Ordinal);
            if (taken != IsTaken(text))
                differences.Add($"'{text}': losetup {(taken ? "takes" : "refuses")} it");
        }
        Assert.Empty(differences);
    }

    private static bool IsTaken(string text)
    {
        try
        {
            SizeText.Parse(text, "offset");
            return true;
        }
        catch (CommandException)
        {
            return false;
        }
    }

    private static string RunLosetup(string losetup, string text)
    {
        using Process process = Process.Start(new ProcessStartInfo(losetup, ["-o", text, "-f", "/nonexistent/file"]) { RedirectStandardError = true })!;
        string error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        // It must have failed one way or the other, or it has bound something.
        Assert.Equal(1, process.ExitCode);
        return error;
    }
}
