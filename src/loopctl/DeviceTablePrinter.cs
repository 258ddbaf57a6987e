using System.Globalization;
using System.Text;
using System.Text.Json;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary>Prints devices as losetup does: the table, JSON as libsmartcols lays it out, and the legacy line of -a.</summary>
internal static class DeviceTablePrinter
{
    private static readonly Column[] Columns =
    [
        new("NAME", device => device.Path, IsNumber: false),
        new("SIZELIMIT", device => Number(device.SizeLimit), IsNumber: true),
        new("OFFSET", device => Number(device.Offset), IsNumber: true),
        new("AUTOCLEAR", device => Flag(device.Autoclear), IsNumber: true, IsFlag: true),
        new("RO", device => Flag(device.ReadOnly), IsNumber: true, IsFlag: true),
        new("BACK-FILE", device => device.BackingFile, IsNumber: false),
        new("DIO", device => Flag(device.DirectIo), IsNumber: true, IsFlag: true),
        new("LOG-SEC", device => Number(device.SectorSize), IsNumber: true),
    ];

    internal static void PrintTable(IReadOnlyList<DeviceStatus> devices, TextWriter output)
    {
        if (devices.Count == 0)
            return;
        int[] widths = [.. Columns.Select(column => Math.Max(column.Name.Length, devices.Max(device => ControlCharacters.Escape(column.Value(device)).Length)))];
        PrintRow(output, widths, column => column.Name);
        foreach (DeviceStatus device in devices)
            PrintRow(output, widths, column => ControlCharacters.Escape(column.Value(device)));
    }

    internal static void PrintJson(IReadOnlyList<DeviceStatus> devices, TextWriter output)
    {
        IEnumerable<string> rows = devices.Select(device => "{\n" + string.Join(",\n", Columns.Select(column =>
            $"         \"{column.Name.ToLowerInvariant()}\": {JsonValue(column, device)}")) + "\n      }");
        output.Write(devices.Count == 0 ? "{\n   \"loopdevices\": [\n\n   ]\n}\n"
            : $"{{\n   \"loopdevices\": [\n      {string.Join(",", rows)}\n   ]\n}}\n");
    }

    /// <summary>losetup -a: <c>NAME: [device]:inode (file), offset N, sizelimit N, encryption NAME (type N)</c>.</summary>
    /// <param name="device">The device.</param>
    /// <param name="transferNumbers">The loop driver's numbers of the transfers (LO_CRYPT_*).</param>
    internal static string LegacyLine(DeviceStatus device, IReadOnlyDictionary<string, int> transferNumbers)
    {
        var line = new StringBuilder();
        ulong backing = (ulong)(device.BackingDevice.Major & 0xfff) << 8 | device.BackingDevice.Minor & 0xff
            | (ulong)(device.BackingDevice.Minor & 0xffffff00) << 12;
        line.Append(CultureInfo.InvariantCulture, $"{device.Path}: [{backing:D4}]:{device.BackingInode} ({device.BackingFile})");
        if (device.Offset > 0)
            line.Append(CultureInfo.InvariantCulture, $", offset {device.Offset}");
        if (device.SizeLimit > 0)
            line.Append(CultureInfo.InvariantCulture, $", sizelimit {device.SizeLimit}");
        if (device.Transfers.Count > 0)
            line.Append(CultureInfo.InvariantCulture, $", encryption {string.Join("+", device.Transfers)} (type {transferNumbers.GetValueOrDefault(device.Transfers[0])})");
        return line.ToString();
    }

    private static void PrintRow(TextWriter output, int[] widths, Func<Column, string> cell)
    {
        var row = new StringBuilder();
        for (int i = 0; i < Columns.Length; i++)
        {
            string text = cell(Columns[i]);
            row.Append(Columns[i].IsNumber ? text.PadLeft(widths[i]) : text.PadRight(widths[i])).Append(' ');
        }
        output.WriteLine(row.ToString().TrimEnd());
    }

    private static string JsonValue(Column column, DeviceStatus device)
    {
        string value = column.Value(device);
        if (column.IsFlag)
            return value == "1" ? "true" : "false";
        return column.IsNumber ? value : $"\"{JsonEncodedText.Encode(value, System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping)}\"";
    }

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Flag(bool value) => value ? "1" : "0";

    private sealed record Column(string Name, Func<DeviceStatus, string> Value, bool IsNumber, bool IsFlag = false);
}
