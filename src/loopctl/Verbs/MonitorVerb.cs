using System.Globalization;
using System.Runtime.InteropServices;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary><c>loopctl monitor</c>: a line for each thing that happens, as it happens.</summary>
internal sealed class MonitorVerb : Verb
{
    private bool _json;

    internal MonitorVerb() => OwnOptions = [new OptionGroup("Options", new Option("-J --json", "a JSON object on each line", () => _json = true))];

    internal override string Name => "monitor";

    internal override string Operands => "[DEV...]";

    internal override string Summary => "print what happens to devices, as it happens";

    internal override string Description =>
        "Print a line for each event: time, device, what happened, and what there is to say of it. It ends with the daemon (exit code 1) or with Ctrl-C (0).";

    internal override IReadOnlyList<(string What, string How)> Examples =>
    [
        ("Watch one device", "loopctl monitor loop0"),
        ("Act on errors", "loopctl monitor --json | jq --unbuffered 'select(.event == \"failed\")'"),
    ];

    protected override IReadOnlyList<OptionGroup> OwnOptions { get; }

    protected override int Do(IReadOnlyList<string> operands)
    {
        using PosixSignalRegistration interrupt = EndOn(PosixSignal.SIGINT), terminate = EndOn(PosixSignal.SIGTERM);
        List<DeviceName> names = [.. operands.Select(DeviceName.Parse)];
        using ControlClient client = Daemon.Connect();
        DaemonStatus daemon = client.GetDaemon();
        HashSet<string> paths = [.. names.Select(name => name.PathAt(daemon))];
        try
        {
            foreach (DeviceEvent happened in client.Monitor())
            {
                if (paths.Count > 0 && happened.Path is not null && !paths.Contains(happened.Path))
                    continue;
                Console.Out.WriteLine(_json ? ToJson(happened) : ToText(happened));
                Console.Out.Flush();
            }
        }
        catch (ControlException gone) when (gone.Errno == Errno.ECONNRESET)
        {
        }
        throw new CommandException("the daemon has ended");
    }

    private static PosixSignalRegistration EndOn(PosixSignal signal) => PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        Environment.Exit(0);
    });

    private static string ToText(DeviceEvent happened) =>
        $"{Time(happened).ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss.fff", CultureInfo.InvariantCulture)} {happened.Path ?? "-"} "
        + $"{Word(happened.Kind)} {ControlCharacters.Escape(Details(happened))}".TrimEnd();

    private static string Details(DeviceEvent happened) => happened.Kind switch
    {
        EventKind.Bound => $"{happened.BackingFile}, {happened.Size} bytes",
        EventKind.Cleared => $"{happened.BackingFile}",
        EventKind.Resized => $"{happened.Size} bytes",
        EventKind.Scanned => $"{happened.Partitions} {(happened.Partitions == 1 ? "partition" : "partitions")}",
        EventKind.Failed => $"{happened.Operation} of {happened.Length} bytes at {happened.Offset}: {happened.Errno}",
        EventKind.Lost => $"{happened.Count} events, as they were not read fast enough",
        _ => "",
    };

    private static string ToJson(DeviceEvent happened) => JsonLine.Of(json =>
    {
        json.WriteString("time", Time(happened).ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture));
        json.WriteString("event", Word(happened.Kind));
        WriteText("name", happened.Path);
        WriteText("back-file", happened.BackingFile);
        WriteNumber("size", happened.Size);
        WriteNumber("partitions", happened.Partitions);
        WriteText("operation", happened.Operation);
        WriteNumber("offset", happened.Offset);
        WriteNumber("length", happened.Length);
        WriteText("errno", happened.Errno);
        WriteNumber("count", happened.Count);

        void WriteText(string name, string? value)
        {
            if (value is not null)
                json.WriteString(name, value);
        }

        void WriteNumber(string name, long? value)
        {
            if (value is { } number)
                json.WriteNumber(name, number);
        }
    });

    private static DateTime Time(DeviceEvent happened) => DateTimeOffset.FromUnixTimeMilliseconds(happened.Time).UtcDateTime;

    private static string Word(EventKind kind) => kind.ToString().ToLowerInvariant();
}
