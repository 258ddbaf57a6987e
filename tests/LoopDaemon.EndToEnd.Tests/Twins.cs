using System.Globalization;
using System.Text.RegularExpressions;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>Two devices of the kernel's and two of ours with the same numbers. What losetup is told about the former, loopctl is
/// told about the latter, and both must print the same and end the same. Disposing it takes them all away.</summary>
internal sealed class Twins : IDisposable
{
    private const uint ControlRemove = 0x4C81;

    private readonly Loopd _loopd;

    internal Twins(Loopd loopd)
    {
        Requirements.SkipUnlessInstalled("losetup");
        Requirements.SkipUnlessKernelLoop();
        _loopd = loopd;
        // Numbers that nobody else will think of.
        Number = 2 * Random.Shared.Next(1000, 30000);
    }

    /// <summary>The number of the first devices.</summary>
    internal int Number { get; }

    /// <summary>The kernel's first device.</summary>
    internal string KernelDevice => $"/dev/loop{Number}";

    /// <summary>Our first device.</summary>
    internal string OurDevice => _loopd.Device(Number);

    /// <summary>Gives both programs the same command line, and compares what they make of it.</summary>
    /// <param name="words">The words; D and E stand for the two devices.</param>
    /// <returns>What loopctl printed and how it ended, with D and E in it.</returns>
    internal ShellResult Compare(params string[] words) => Compare(expected => expected, words);

    /// <summary>Compares with what is expected instead of losetup's own words.</summary>
    /// <param name="adjust">Makes that of what losetup printed.</param>
    /// <param name="words">The words.</param>
    internal ShellResult Compare(Func<ShellResult, ShellResult> adjust, params string[] words)
    {
        (ShellResult losetup, ShellResult loopctl) = Run(words);
        Assert.Equal(adjust(losetup), loopctl);
        return loopctl;
    }

    /// <summary>Compares lines in whatever order: losetup lists in the order of /sys, ours by number.</summary>
    internal void CompareUnordered(params string[] words)
    {
        static ShellResult Sorted(ShellResult result) => result with { Output = string.Join('\n', result.Output.Split('\n').Order(StringComparer.Ordinal)) };

        (ShellResult losetup, ShellResult loopctl) = Run(words);
        Assert.Equal(Sorted(losetup), Sorted(loopctl));
        Assert.Equal(0, loopctl.ExitCode);
    }

    /// <summary>Both devices have the same size.</summary>
    internal void CompareSizes() => Assert.Equal(
        long.Parse(Shell.Run("blockdev", "--getsize64", KernelDevice).Succeeded().Output, CultureInfo.InvariantCulture), new FileInfo(OurDevice).Length);

    /// <summary>Detaches both devices on both sides, whether or not they are bound.</summary>
    internal void Detach()
    {
        foreach (int number in (int[])[Number, Number + 1])
        {
            Shell.Run("losetup", "-d", $"/dev/loop{number}");
            _loopd.Control("-d", $"{number}");
        }
    }

    public void Dispose()
    {
        Detach();
        using FileDescriptor control = FileDescriptor.Open("/dev/loop-control", OpenFlags.ReadWrite);
        foreach (int number in (int[])[Number, Number + 1])
            control.Control(ControlRemove, number, out _);
    }

    private (ShellResult Losetup, ShellResult Loopctl) Run(string[] words)
    {
        string kernels = "/dev/loop", ours = _loopd.Mount + "/loop", line = string.Join(' ', words);
        ShellResult losetup = Shell.Run("losetup", [.. words.Select(word => Named(word, kernels))]);
        ShellResult loopctl = _loopd.Control([.. words.Select(word => Named(word, ours))]);
        string error = losetup.Error.Replace("losetup", "loopctl", StringComparison.Ordinal);
        return (new ShellResult(line, losetup.ExitCode, Anonymous(losetup.Output, kernels), Anonymous(error, kernels)),
            new ShellResult(line, loopctl.ExitCode, Anonymous(loopctl.Output, ours), Anonymous(loopctl.Error, ours)));
    }

    private string Named(string word, string prefix) => word switch
    {
        "D" => $"{prefix}{Number}",
        "E" => $"{prefix}{Number + 1}",
        _ => word,
    };

    /// <summary>A text without what differs by nature: where the devices are, which one was free, and the driver's number.</summary>
    private string Anonymous(string text, string prefix)
    {
        text = text.Replace($"{prefix}{Number + 1}", "E", StringComparison.Ordinal).Replace($"{prefix}{Number}", "D", StringComparison.Ordinal);
        text = text.Replace($"7:{Number}", $"0:{Number}", StringComparison.Ordinal);
        return Regex.Replace(text, Regex.Escape(prefix) + "[0-9]+", "ANY");
    }
}
