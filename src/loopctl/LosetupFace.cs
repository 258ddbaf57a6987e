using System.CommandLine;
using LoopDaemon.Control;

namespace LoopDaemon.CommandLine;

/// <summary>The root command: losetup's options, under losetup's rules.</summary>
internal sealed class LosetupFace
{
    private readonly Option<string?> _control;
    private readonly Option<bool> _all = new("-a", "--all") { Description = "List all bound devices, a line each" };
    private readonly Option<bool> _list = new("-l", "--list") { Description = "List bound devices, or the named one, as a table" };
    private readonly Option<bool> _json = new("-J", "--json") { Description = "List as JSON" };
    private readonly Option<bool> _find = new("-f", "--find") { Description = "Print the first free device, or bind it to FILE" };
    private readonly Option<bool> _detach = new("-d", "--detach") { Description = "Clear the named devices; one that is open goes at its last close" };
    private readonly Option<bool> _show = new("--show") { Description = "Print the device's name after binding it" };
    private readonly BindOptions _bind = new("-o");
    private readonly Argument<string[]> _operands = new("DEVICE or FILE")
    {
        Description = "With -f: FILE; with -d: devices; otherwise a DEVICE to list, or DEVICE FILE to bind",
        Arity = ArgumentArity.ZeroOrMore,
    };

    internal LosetupFace(Option<string?> control) => _control = control;

    internal void AddTo(RootCommand command)
    {
        foreach (Option option in (Option[])[_all, _list, _json, _find, _detach, _show])
            command.Add(option);
        _bind.AddTo(command);
        command.Add(_operands);
        command.SetAction(Run);
    }

    private int Run(ParseResult parsed)
    {
        string[] operands = parsed.GetValue(_operands) ?? [];
        bool find = parsed.GetValue(_find), detach = parsed.GetValue(_detach), all = parsed.GetValue(_all);
        bool list = parsed.GetValue(_list), json = parsed.GetValue(_json);
        if ((find ? 1 : 0) + (detach ? 1 : 0) + (all ? 1 : 0) > 1)
            throw new CommandException("mutually exclusive arguments: --all --detach --find");
        if ((find || detach) && (list || json))
            throw new CommandException($"mutually exclusive arguments: --{(find ? "find" : "detach")} --{(list ? "list" : "json")}");

        bool binds = (find && operands.Length == 1) || (!find && !detach && !all && !list && !json && operands.Length == 2);
        bool setupOnly = parsed.GetValue(_show) || _bind.AnyGiven(parsed);
        if (!binds && setupOnly)
            throw new CommandException("the options --{offset,sizelimit,read-only,show,encryption,key-file} are allowed during loop device setup only");

        var daemon = new Daemon(parsed.GetValue(_control));
        if (binds)
            return Bind(parsed, daemon, find ? null : operands[0], operands[^1]);
        if (find)
            return operands.Length == 0 ? PrintFree(daemon) : throw Unexpected(operands[1..]);
        if (detach)
            return Detach(daemon, operands);
        if (operands.Length > 1)
            throw Unexpected(list || json || all ? operands[1..] : operands);
        return List(daemon, operands.SingleOrDefault(), list || json || (!all && operands.Length == 0), json);
    }

    private int Bind(ParseResult parsed, Daemon daemon, string? deviceName, string path)
    {
        int? device = deviceName is null ? null : DeviceName.Parse(deviceName);
        ConfigureRequest request = _bind.Request(parsed, path) with { Device = device };
        using ControlClient client = daemon.ConnectOrStart();
        ConfigureReply reply = BindOptions.Bind(client, request);
        if (parsed.GetValue(_show))
            Console.Out.WriteLine(reply.Path);
        foreach (string warning in reply.Warnings)
            Console.Error.WriteLine($"loopctl: {warning}");
        return 0;
    }

    private static int PrintFree(Daemon daemon)
    {
        using ControlClient client = daemon.Connect();
        Console.Out.WriteLine(client.GetFree().Path);
        return 0;
    }

    /// <summary>Goes on after a device that cannot be cleared, as losetup does.</summary>
    private static int Detach(Daemon daemon, string[] names)
    {
        if (names.Length == 0)
            throw new CommandException("no loop device specified");
        using ControlClient client = daemon.Connect();
        int result = 0;
        foreach (string name in names)
        {
            try
            {
                client.Clear(DeviceName.GetStatus(client, name).Device);
            }
            catch (ControlException refused)
            {
                Console.Error.WriteLine($"loopctl: {name}: detach failed: {refused.Message}");
                result = 1;
            }
            catch (CommandException refused)
            {
                Console.Error.WriteLine($"loopctl: {refused.Message}");
                result = 1;
            }
        }
        return result;
    }

    private static CommandException Unexpected(string[] operands) =>
        new($"unexpected arguments: {string.Join(' ', operands)}; try loopctl --help");

    private static int List(Daemon daemon, string? name, bool asTable, bool asJson)
    {
        using ControlClient client = daemon.Connect();
        IReadOnlyList<DeviceStatus> devices = name is null ? client.List() : [DeviceName.GetStatus(client, name)];
        if (asJson)
        {
            DeviceTablePrinter.PrintJson(devices, Console.Out);
        }
        else if (asTable)
        {
            DeviceTablePrinter.PrintTable(devices, Console.Out);
        }
        else
        {
            var numbers = client.ListTransfers().ToDictionary(transfer => transfer.Name, transfer => transfer.Number ?? 0);
            foreach (DeviceStatus device in devices)
                Console.Out.WriteLine(DeviceTablePrinter.LegacyLine(device, numbers));
        }
        return 0;
    }
}
