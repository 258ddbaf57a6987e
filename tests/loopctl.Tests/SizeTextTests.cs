using CsCheck;

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
    [InlineData("8E", 1UL << 63)]
    [InlineData("18446744073709551615", ulong.MaxValue)]
    [InlineData("1..5K", 1536)]
    // Each digit is rounded for itself.
    [InlineData("0.0625K", 66)]
    [InlineData("1.000001K", 1024)]
    public void A_size_is_read(string text, ulong bytes) => Assert.Equal(bytes, SizeText.Parse(text, "offset"));

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
    [InlineData("1.0")]
    [InlineData("1.5.5K")]
    public void What_is_no_size_is_refused(string text)
    {
        var refused = Assert.Throws<CommandException>(() => SizeText.Parse(text, "offset"));
        Assert.Equal($"failed to parse offset: '{text}': Invalid argument", refused.Message);
    }

    [Theory]
    [InlineData("16E")]
    [InlineData("1Z")]
    [InlineData("1.5Y")]
    [InlineData("18446744073709551616")]
    [InlineData("0x10000000000000000")]
    [InlineData("1.99999999999999999999K")]
    public void A_size_beyond_64_bits_is_out_of_range(string text)
    {
        var refused = Assert.Throws<CommandException>(() => SizeText.Parse(text, "size"));
        Assert.Equal($"failed to parse size: '{text}': Numerical result out of range", refused.Message);
    }

    /// <summary>losetup reads its options before it looks for the file, so it binds nothing here.</summary>
    [Fact]
    public void Losetup_takes_and_refuses_the_same_texts()
    {
        ProgramRun.SkipUnlessLosetup();
        string[] numbers = ["0", "5", "+5", " 5", "5 ", "-5", "0x1f", "0x", "017", "08", "1.5", "1.", ".5", "0.5", "1.0", "1..5", "1.5.5", "x", ""];
        string[] suffixes = ["", "K", "k", "M", "m", "G", "E", "y", "KiB", "Kib", "KIB", "KB", "kb", "B", "i", "Ki", "Kx", "KiBx", "iB", ".K"];
        var differences = new List<string>();
        Parallel.ForEach(numbers.SelectMany(number => suffixes.Select(suffix => number + suffix)), text =>
        {
            string losetup = ProgramRun.Of(ProgramRun.Losetup, "-o", text, "-f", "/nonexistent/file").Error;
            string ours = Complaint(text) is { } complaint ? $"losetup: {complaint}\n" : "losetup: /nonexistent/file: failed to set up loop device: No such file or directory\n";
            if (losetup == ours)
                return;
            lock (differences)
                differences.Add($"'{text}': {losetup} / {ours}");
        });
        Assert.Empty(differences);
    }

    /// <summary>The kernel tells what losetup has made of an offset.</summary>
    [Fact]
    public void Losetup_reads_the_same_size_out_of_any_text()
    {
        using var directory = new TemporaryDirectory();
        string file = directory.MakeFile("disk.img");
        Gen<string> digits = Gen.OneOf(Gen.Int[0, 20].Select(number => $"{number}"), Gen.ULong.Select(number => $"{number}"), Gen.Int[0, 999].Select(number => $"0x{number:x}"));
        Gen<string> fraction = Gen.OneOf(Gen.Const(""), Gen.Const("."), Gen.Int[0, 99999].Select(number => $".{number}"), Gen.Int[0, 999].Select(number => $".00{number}"), Gen.ULong.Select(number => $".{number}"));
        Gen<string> suffix = Gen.OneOf("", "K", "kB", "KiB", "M", "MB", "G", "gb", "T", "TB", "P", "E", "EB", "Z", "YB");
        Gen.Select(digits, fraction, suffix, (whole, part, unit) => whole + part + unit).Sample(text =>
        {
            string? complaint = Complaint(text);
            ulong bytes = complaint is null ? SizeText.Parse(text, "offset") : 0;
            if (complaint is not null || bytes > long.MaxValue)
            {
                string expected = complaint ?? $"{file}: failed to set up loop device: Value too large for defined data type";
                Assert.Equal($"losetup: {expected}\n", ProgramRun.Of(ProgramRun.Losetup, "-f", "-r", "-o", text, file).Error);
                return;
            }
            using KernelDevice device = KernelDevice.Attach(file, "-r", "-o", text);
            Assert.Equal(bytes, (ulong)device.Status.Offset);
        }, iter: 200, threads: 1);
    }

    private static string? Complaint(string text)
    {
        try
        {
            SizeText.Parse(text, "offset");
            return null;
        }
        catch (CommandException refused)
        {
            return refused.Message;
        }
    }
}
