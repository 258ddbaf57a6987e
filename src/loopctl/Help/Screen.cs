using System.Runtime.InteropServices;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary>What standard output and standard error are to be written for: a terminal, or something that reads.</summary>
internal static class Screen
{
    private const int UsualWidth = 80;

    /// <summary>The cells of a line of the terminal that standard output is, or null where it is none.</summary>
    internal static int? Width => Console.IsOutputRedirected ? null : ColumnsOfTerminal() is > 0 and int cells ? cells : UsualWidth;

    /// <summary>The cells that running text may take.</summary>
    internal static int TextWidth => Width ?? UsualWidth;

    /// <summary>Whether standard output shows bold letters.</summary>
    internal static bool OutputHasStyles => !Console.IsOutputRedirected && WantsStyles;

    /// <summary>Whether standard error shows colours.</summary>
    internal static bool ErrorHasStyles => !Console.IsErrorRedirected && WantsStyles;

    /// <summary>Whether the locale's characters are UTF-8's, as setlocale(3) finds out.</summary>
    internal static bool IsUtf8
    {
        get
        {
            string locale = Variable("LC_ALL") ?? Variable("LC_CTYPE") ?? Variable("LANG") ?? "";
            return locale.Contains("UTF-8", StringComparison.OrdinalIgnoreCase) || locale.Contains("utf8", StringComparison.OrdinalIgnoreCase);
        }
    }

    /// <summary>NO_COLOR: see no-color.org.</summary>
    private static bool WantsStyles => Variable("NO_COLOR") is null && (Variable("TERM") ?? "dumb") != "dumb";

    /// <summary>TIOCGWINSZ of tty_ioctl(4). The console of .NET would set up the terminal for reading keys before it asks.</summary>
    private static int ColumnsOfTerminal()
    {
        const uint GetWindowSize = 0x5413;
        // struct winsize: four numbers of 16 bits, rows and columns first.
        ulong size = 0;
        if (FileDescriptor.TryOpen("/proc/self/fd/1", OpenFlags.WriteOnly, out FileDescriptor? terminal) != Errno.None)
            return 0;
        using (terminal)
            return terminal!.Control(GetWindowSize, ref size, out _) == Errno.None ? MemoryMarshal.Cast<ulong, ushort>(new Span<ulong>(ref size))[1] : 0;
    }

    private static string? Variable(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
}
