using System.Globalization;
using LoopDaemon.Control;

namespace LoopDaemon.CommandLine;

/// <summary>The columns of the list of devices: losetup's in the order of its --output-all, and ours behind them.</summary>
internal static class DeviceColumns
{
    /// <summary>All columns. What losetup prints for a device that is not bound is in part odd, and the same here.</summary>
    internal static IReadOnlyList<Column> All { get; } =
    [
        Text("NAME", "loop device name", row => row.Path) with { GivesWay = true },
        Flag("AUTOCLEAR", "autoclear flag set", row => row.Status is { Autoclear: true }),
        BoundText("BACK-FILE", "device backing file", status => status.BackingFile) with { GivesWay = true },
        BoundNumber("BACK-INO", "backing file inode number", status => status.BackingInode),
        BoundText("BACK-MAJ:MIN", "backing file major:minor device number", status => Spread(8, status.BackingDevice.Major, status.BackingDevice.Minor)),
        BoundText("BACK-MAJ", "backing file major device number", status => Digits(status.BackingDevice.Major)),
        BoundText("BACK-MIN", "backing file minor device number", status => Digits(status.BackingDevice.Minor)),
        // A file on a FUSE mount has no number of a driver; the device's own number stands for the minor one.
        Text("MAJ:MIN", "loop device major:minor number", row => Spread(3, 0, (uint)row.Number)),
        Number("MAJ", "loop device major number", row => 0),
        Number("MIN", "loop device minor number", row => (ulong)row.Number),
        BoundNumber("OFFSET", "offset from the beginning", status => (ulong)status.Offset),
        Flag("PARTSCAN", "partscan flag set", row => row.Status is null or { Partscan: true }),
        BoundText("REF", "loop device reference string", status => status.Reference) with { GivesWay = true },
        Flag("RO", "read-only device", row => row.Status is { ReadOnly: true }),
        BoundNumber("SIZELIMIT", "size limit of the file in bytes", status => (ulong)status.SizeLimit),
        Flag("DIO", "access backing file with direct-io", row => row.Status is { DirectIo: true }),
        Number("LOG-SEC", "logical sector size in bytes", row => (ulong)(row.Status?.SectorSize ?? 512)),
        BoundText("TRANSFER", "transfers, the first nearest the data", status => string.Join('+', status.Transfers)),
        BoundText("OWNER", "user who bound the device", status => AccountNames.OfUser(status.Owner)),
        BoundNumber("OPEN", "how often the device is open", status => (ulong)status.Openers),
        BoundNumber("READS", "reads since it was bound", status => (ulong)status.Traffic.Reads),
        BoundNumber("WRITES", "writes since it was bound", status => (ulong)status.Traffic.Writes),
        BoundNumber("BYTES-READ", "bytes that reads brought", status => (ulong)status.Traffic.BytesRead),
        BoundNumber("BYTES-WRITTEN", "bytes that writes took", status => (ulong)status.Traffic.BytesWritten),
        BoundNumber("ERRORS", "requests that failed", status => (ulong)status.Traffic.Errors),
    ];

    /// <summary>Letters of the longest name.</summary>
    internal static int LongestName => All.Max(column => column.Name.Length);

    /// <summary>What a list shows unless it is told otherwise.</summary>
    private static readonly string[] Default = ["NAME", "SIZELIMIT", "OFFSET", "AUTOCLEAR", "RO", "BACK-FILE", "DIO", "LOG-SEC"];

    /// <summary>The columns to show.</summary>
    /// <param name="names">The names that --output gives: with commas between them, in any case; behind a plus they add to
    /// what would be shown anyway. Null where nothing is given.</param>
    /// <param name="all">Whether --output-all is given.</param>
    /// <exception cref="CommandException">There is no such column.</exception>
    internal static IReadOnlyList<Column> Choose(string? names, bool all)
    {
        IReadOnlyList<Column> usual = all ? All : [.. Default.Select(name => Find(name, name))];
        if (names is null)
            return usual;
        List<Column> chosen = names.StartsWith('+') ? [.. usual] : [];
        string rest = names.StartsWith('+') ? names[1..] : names;
        do
        {
            int comma = rest.IndexOf(',', StringComparison.Ordinal);
            // A comma at the very end belongs to the name before it.
            int end = comma < 0 || comma == rest.Length - 1 ? rest.Length : comma;
            chosen.Add(Find(rest[..end], rest));
            rest = end < rest.Length ? rest[(end + 1)..] : "";
        }
        while (rest.Length > 0);
        return chosen;
    }

    private static Column Find(string name, string rest) =>
        All.FirstOrDefault(column => column.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
        ?? throw new CommandException($"unknown column: {rest}");

    private static Column Text(string name, string help, Func<DeviceRow, string> value) => new(name, ColumnKind.Text, help, value);

    private static Column Number(string name, string help, Func<DeviceRow, ulong> value) =>
        new(name, ColumnKind.Number, help, row => Digits(value(row)));

    private static Column Flag(string name, string help, Func<DeviceRow, bool> value) =>
        new(name, ColumnKind.Flag, help, row => value(row) ? "1" : "0");

    private static Column BoundText(string name, string help, Func<DeviceStatus, string> value) =>
        new(name, ColumnKind.Text, help, row => row.Status is { } status ? value(status) : "");

    private static Column BoundNumber(string name, string help, Func<DeviceStatus, ulong> value) =>
        new(name, ColumnKind.Number, help, row => row.Status is { } status ? Digits(value(status)) : "");

    private static string Digits(ulong value) => value.ToString(CultureInfo.InvariantCulture);

    /// <summary>A device number as losetup spreads it out, in every form of output.</summary>
    private static string Spread(int width, uint major, uint minor) => $"{Digits(major).PadLeft(width)}:{Digits(minor),-3}";
}
