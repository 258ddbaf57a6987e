using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary>The options that say what a device is like, which looptab shares with what losetup does.</summary>
internal sealed class DeviceOptions
{
    internal DeviceOptions()
    {
        SectorSizeOption = new Option("-b --sector-size", "BYTES", "logical sector size; alone with DEV, change it",
            value => SectorBytes = (int)Math.Min(SizeText.Parse(value, "logical block size"), int.MaxValue));
        PartscanOption = new Option("-P --partscan", "show the partitions of the device", () => Partscan = true);
        DirectIoOption = new Option("--direct-io", "read and write FILE past the page cache; alone with DEV, change it", on => DirectIo = on);
        ReferenceOption = new Option("--loop-ref", "TEXT", "text to keep with the device", value => Reference = value) { IsAddition = true };
        GroupOption = new Option("--group", "GROUP", "group of the device's file, a name or a number", value => Group = AccountNames.ParseGroup(value));
        ModeOption = new Option("--mode", "OCTAL", "permissions of the device's file (0600)", value => Mode = ParseMode(value));
    }

    internal Option SectorSizeOption { get; }

    internal Option PartscanOption { get; }

    internal Option DirectIoOption { get; }

    internal Option ReferenceOption { get; }

    internal Option GroupOption { get; }

    internal Option ModeOption { get; }

    /// <summary>The sector size given, or null; no device has one beyond 32 bits, as the daemon will say.</summary>
    internal int? SectorBytes { get; private set; }

    internal bool Partscan { get; private set; }

    /// <summary>Null where nothing is said about it.</summary>
    internal bool? DirectIo { get; private set; }

    internal string Reference { get; private set; } = "";

    private uint? Group { get; set; }

    private int? Mode { get; set; }

    /// <summary>Fills a request in.</summary>
    internal ConfigureRequest Apply(ConfigureRequest request) => request with
    {
        Partscan = Partscan,
        DirectIo = DirectIo == true,
        Reference = Reference,
        Group = Group,
        Mode = Mode,
        // 0 stands for the usual one.
        SectorSize = SectorBytes > 0 ? SectorBytes.Value : request.SectorSize,
    };

    private static int ParseMode(string text)
    {
        const int MostDigits = 6;
        if (text.Length is 0 or > MostDigits || text.AsSpan().ContainsAnyExceptInRange('0', '7'))
            throw new CommandException($"failed to parse mode: '{text}': {Errno.EINVAL.Describe()}");
        return Convert.ToInt32(text, 8);
    }
}
