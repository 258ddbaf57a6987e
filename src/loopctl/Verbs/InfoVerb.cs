using System.Globalization;
using System.Numerics;
using System.Text.Json;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary><c>loopctl info DEV...</c>: everything about a device.</summary>
internal sealed class InfoVerb : Verb
{
    private const int LabelWidth = 16;

    private bool _json;

    internal InfoVerb() => OwnOptions = [new OptionGroup("Options", new Option("-J --json", "as JSON", () => _json = true))];

    internal override string Name => "info";

    internal override string Operands => "DEV...";

    internal override string Summary => "display everything about one or more devices";

    protected override IReadOnlyList<OptionGroup> OwnOptions { get; }

    protected override int Do(IReadOnlyList<string> operands)
    {
        using ControlClient client = Daemon.Connect();
        DaemonStatus daemon = client.GetDaemon();
        List<DeviceStatus> found = [];
        int result = 0;
        foreach (string operand in operands)
        {
            try
            {
                var device = new DaemonDevice(client, daemon, DeviceName.Parse(operand));
                found.Add(device.FindStatus() ?? throw new CommandException($"{device.Path}: is not bound to a file"));
            }
            catch (CommandException failed)
            {
                Failure.Complain(failed.Message);
                result = 1;
            }
        }
        if (_json)
            Console.Out.WriteLine(ToJson(found));
        else
            Console.Out.Write(string.Join("\n", found.Select(ToText)));
        return result;
    }

    private static string ToText(DeviceStatus device)
    {
        string heading = Screen.OutputHasStyles ? $"\e[1m{device.Path}\e[0m\n" : $"{device.Path}\n";
        return heading
            + Line("backing file", device.BackingFile)
            + Line("", $"inode {device.BackingInode} on device {device.BackingDevice.Major}:{device.BackingDevice.Minor}")
            + Line("size", Bytes(device.Size))
            + Line("offset", Bytes(device.Offset))
            + Line("size limit", device.SizeLimit == 0 ? "none" : Bytes(device.SizeLimit))
            + Line("sector size", Bytes(device.SectorSize))
            + Line("access", device.ReadOnly ? "read-only" : "read-write")
            + Line("I/O", Path(device.Passthrough))
            + (device.Passthrough.BytesPastEnd > 0 ? Line("", $"the backing file goes on for {Bytes(device.Passthrough.BytesPastEnd)} behind the end of the device") : "")
            + Line("direct I/O", device.DirectIo ? "on" : "off")
            + Line("autoclear", device.Autoclear ? "at the last close" : "no")
            + Pipeline(device)
            + (device.Reference.Length > 0 ? Line("reference", device.Reference) : "")
            + Line("owner", $"{AccountNames.OfUser(device.Owner)} ({device.Owner}), group {AccountNames.OfGroup(device.Group)} ({device.Group}), mode 0{Convert.ToString(device.Mode, 8)}")
            + Line("bound", BoundSince(device))
            + Line("open", device.Openers == 0 ? "no" : Times(device.Openers))
            + Line("reads", $"{device.Traffic.Reads}, {Bytes(device.Traffic.BytesRead)}")
            + Line("writes", $"{device.Traffic.Writes}, {Bytes(device.Traffic.BytesWritten)}")
            + Line("errors", device.Traffic.Errors.ToString(CultureInfo.InvariantCulture))
            + Line("partitions", !device.Partscan ? "not shown" : device.Partitions.Count == 0 ? "none" : device.Partitions.Count.ToString(CultureInfo.InvariantCulture))
            + string.Concat(device.Partitions.Select(partition =>
                Line("", $"{partition.Path}: {Bytes(partition.Size)} from {Bytes(partition.Offset)}{(partition.Openers > 0 ? $", open {Times(partition.Openers)}" : "")}")));
    }

    private static string Path(PassthroughStatus passthrough) =>
        passthrough.Active ? "by the kernel on the backing file itself (passthrough); reads and writes are not counted"
        : passthrough.Obstacle is { } obstacle ? $"by the daemon: the device {obstacle}"
        : "by the kernel on the backing file itself (passthrough), when it is opened next";

    private static string Pipeline(DeviceStatus device) => device.Transfers.Count == 0 ? Line("transfers", "none")
        : Line("transfers", $"device -> {string.Join(" -> ", device.Transfers)} -> file")
        + Line("", $"sectors counted from {(device.SectorsFromOffset ? "the offset" : "the start of the file")}")
        + (device.AllowDiscards ? Line("", "discards allowed") : "");

    private static string Line(string label, string text) => $"  {label.PadRight(LabelWidth)}{ControlCharacters.Escape(text)}\n";

    private static string Times(int count) => count == 1 ? "once" : $"{count} times";

    /// <summary>A size in bytes and, where that is shorter, in a larger unit.</summary>
    private static string Bytes(long bytes)
    {
        const string Units = "KMGTPE";
        string exact = bytes == 1 ? "1 byte" : $"{bytes} bytes";
        if (bytes < 1024)
            return exact;
        int unit = (BitOperations.Log2((ulong)bytes) / 10) - 1;
        double scaled = bytes / Math.Pow(1024, unit + 1);
        return string.Create(CultureInfo.InvariantCulture, $"{exact} ({scaled:0.#} {Units[unit]}iB)");
    }

    private static string BoundSince(DeviceStatus device)
    {
        DateTimeOffset since = DateTimeOffset.FromUnixTimeMilliseconds(device.BoundAt).ToLocalTime();
        TimeSpan ago = DateTimeOffset.Now - since;
        string span = ago switch
        {
            { TotalMinutes: < 1 } => $"{ago.Seconds} s",
            { TotalHours: < 1 } => $"{ago.Minutes} min",
            { TotalDays: < 1 } => $"{ago.Hours} h {ago.Minutes} min",
            _ => $"{ago.Days} d {ago.Hours} h",
        };
        return $"{since.ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture)}, {span} ago";
    }

    private static string ToJson(IReadOnlyList<DeviceStatus> devices) => JsonLine.Of(json =>
    {
        json.WriteStartArray("loopdevices");
        foreach (DeviceStatus device in devices)
            WriteDevice(json, device);
        json.WriteEndArray();
    }, indented: true);

    private static void WriteDevice(Utf8JsonWriter json, DeviceStatus device)
    {
        json.WriteStartObject();
        json.WriteString("name", device.Path);
        json.WriteNumber("number", device.Device);
        json.WriteString("back-file", device.BackingFile);
        json.WriteNumber("back-ino", device.BackingInode);
        json.WriteString("back-maj:min", $"{device.BackingDevice.Major}:{device.BackingDevice.Minor}");
        json.WriteNumber("size", device.Size);
        json.WriteNumber("offset", device.Offset);
        json.WriteNumber("sizelimit", device.SizeLimit);
        json.WriteNumber("log-sec", device.SectorSize);
        json.WriteBoolean("ro", device.ReadOnly);
        json.WriteBoolean("dio", device.DirectIo);
        json.WriteBoolean("passthrough", device.Passthrough.Active);
        if (device.Passthrough.Obstacle is { } obstacle)
            json.WriteString("passthrough-obstacle", obstacle);
        json.WriteNumber("bytes-past-end", device.Passthrough.BytesPastEnd);
        json.WriteBoolean("autoclear", device.Autoclear);
        json.WriteStartArray("transfers");
        foreach (string transfer in device.Transfers)
            json.WriteStringValue(transfer);
        json.WriteEndArray();
        json.WriteBoolean("sectors-from-offset", device.SectorsFromOffset);
        json.WriteBoolean("allow-discards", device.AllowDiscards);
        json.WriteString("ref", device.Reference);
        json.WriteString("owner", AccountNames.OfUser(device.Owner));
        json.WriteNumber("uid", device.Owner);
        json.WriteString("group", AccountNames.OfGroup(device.Group));
        json.WriteNumber("gid", device.Group);
        json.WriteString("mode", Convert.ToString(device.Mode, 8).PadLeft(4, '0'));
        json.WriteString("bound", DateTimeOffset.FromUnixTimeMilliseconds(device.BoundAt).UtcDateTime);
        json.WriteNumber("open", device.Openers);
        json.WriteNumber("reads", device.Traffic.Reads);
        json.WriteNumber("writes", device.Traffic.Writes);
        json.WriteNumber("bytes-read", device.Traffic.BytesRead);
        json.WriteNumber("bytes-written", device.Traffic.BytesWritten);
        json.WriteNumber("errors", device.Traffic.Errors);
        json.WriteBoolean("partscan", device.Partscan);
        json.WriteStartArray("partitions");
        foreach (PartitionStatus partition in device.Partitions)
        {
            json.WriteStartObject();
            json.WriteNumber("number", partition.Number);
            json.WriteString("name", partition.Path);
            json.WriteNumber("offset", partition.Offset);
            json.WriteNumber("size", partition.Size);
            json.WriteNumber("open", partition.Openers);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }
}
