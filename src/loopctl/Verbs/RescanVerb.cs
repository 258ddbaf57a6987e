using LoopDaemon.Control;

namespace LoopDaemon.CommandLine;

/// <summary><c>loopctl rescan DEV</c>: reads a device's partition table anew.</summary>
internal sealed class RescanVerb : Verb
{
    internal override string Name => "rescan";

    internal override string Operands => "DEV";

    internal override string Summary => "read a device's partition table anew, and print its partitions";

    protected override int Do(IReadOnlyList<string> operands)
    {
        var name = DeviceName.Parse(operands[0]);
        using ControlClient client = Daemon.Connect();
        new DaemonDevice(client, client.GetDaemon(), name).Do(Rescan, "rescan failed");
        return 0;
    }

    private static void Rescan(ControlClient client, DaemonDevice device)
    {
        SizeReply reply = client.Rescan(device.Number);
        foreach (PartitionStatus partition in reply.Partitions)
            Console.Out.WriteLine(partition.Path);
        Failure.Warn(device.Path, reply.Warnings);
    }
}
