using System.Globalization;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

// What is done once the command line has been understood.
internal sealed partial class LosetupFace
{
    private int List(IReadOnlyList<Column> columns)
    {
        using ControlClient client = Daemon.Connect();
        IReadOnlyList<DeviceStatus> devices = client.List();
        if (_associated is not null)
            devices = Association.Of(_associated, _bind.Offset, devices);
        Print(client, columns, [.. devices.Select(device => new DeviceRow(device))]);
        return 0;
    }

    private int ListOne(IReadOnlyList<Column> columns)
    {
        using ControlClient client = Daemon.Connect();
        var device = new DaemonDevice(client, client.GetDaemon(), _devices[0]);
        DeviceStatus? status = device.FindStatus();
        // losetup looks for the backing file's name in a file that an unbound device does not have.
        if (status is null && !_list)
            throw new CommandException($"{device.Path}: {Errno.ENOENT.Describe()}");
        Print(client, columns, [new DeviceRow(device.Number, device.Path, status)]);
        return 0;
    }

    private void Print(ControlClient client, IReadOnlyList<Column> columns, IReadOnlyList<DeviceRow> rows)
    {
        var list = new DeviceList(columns, rows);
        if (!_list)
            PrintLines(client, rows);
        else if (_json)
            list.WriteJson(Console.Out);
        else if (_raw)
            list.WriteRaw(Console.Out, headings: !_noHeadings);
        else
            list.WriteTable(Console.Out, headings: !_noHeadings, Screen.IsUtf8, Screen.Width);
    }

    private static void PrintLines(ControlClient client, IReadOnlyList<DeviceRow> rows)
    {
        bool anyTransfer = rows.Any(row => row.Status!.Transfers.Count > 0);
        IReadOnlyList<TransferDescription> transfers = anyTransfer ? client.ListTransfers() : [];
        foreach (DeviceRow row in rows)
            Console.Out.WriteLine(LegacyLine.Of(row.Status!, transfers));
    }

    private int PrintFree()
    {
        using ControlClient client = Daemon.Connect();
        try
        {
            Console.Out.WriteLine(client.GetFree().Path);
            return 0;
        }
        catch (ControlException refused)
        {
            throw BindRefusal.NothingFree(refused);
        }
    }

    private int Bind(string path)
    {
        DeviceName? device = _devices.Count > 0 ? _devices[0] : null;
        ConfigureRequest request = _device.Apply(_bind.Request(path)) with
        {
            Device = device?.Number,
            Autoclear = _autoclear,
            NoOverlap = _noOverlap,
        };
        using ControlClient client = Daemon.ConnectOrStart();
        string? devicePath = device?.PathAt(client.GetDaemon());
        try
        {
            ConfigureReply reply = _bind.Bind(client, request);
            if (_show)
                Console.Out.WriteLine(reply.Path);
            Failure.Warn(path, reply.Warnings);
            return 0;
        }
        catch (ControlException refused)
        {
            throw BindRefusal.Of(refused, path, request.BackingFile, devicePath);
        }
    }

    private int DetachAll()
    {
        using ControlClient client = Daemon.Connect();
        return ForEach(client, client.List().Select(device => device.Device.ToString(CultureInfo.InvariantCulture)), "detach failed", Clear);
    }

    private int ForEach(IEnumerable<string> names, string failure, Action<ControlClient, DaemonDevice> ask)
    {
        using ControlClient client = Daemon.Connect();
        return ForEach(client, names, failure, ask);
    }

    /// <summary>Asks for something for each device, and goes on after one for which it fails.</summary>
    private static int ForEach(ControlClient client, IEnumerable<string> names, string failure, Action<ControlClient, DaemonDevice> ask)
    {
        DaemonStatus daemon = client.GetDaemon();
        int result = 0;
        foreach (string name in names)
        {
            try
            {
                new DaemonDevice(client, daemon, DeviceName.Parse(name)).Do(ask, failure);
            }
            catch (CommandException failed)
            {
                Failure.Complain(failed.Message);
                result = 1;
            }
        }
        return result;
    }

    private static void Clear(ControlClient client, DaemonDevice device) => client.Clear(device.Number);

    private static void Remove(ControlClient client, DaemonDevice device) => client.Remove(device.Number);

    private static void SetCapacity(ControlClient client, DaemonDevice device) => Failure.Warn(device.Path, client.SetCapacity(device.Number).Warnings);

    private void SetDirectIo(ControlClient client, DaemonDevice device) => client.SetDirectIo(device.Number, _device.DirectIo == true);

    private void SetSectorSize(ControlClient client, DaemonDevice device) =>
        Failure.Warn(device.Path, client.SetSectorSize(device.Number, _device.SectorBytes ?? 0).Warnings);
}
