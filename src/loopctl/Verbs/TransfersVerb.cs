using LoopDaemon.Control;

namespace LoopDaemon.CommandLine;

/// <summary><c>loopctl transfers</c>: what -e may name.</summary>
internal sealed class TransfersVerb : Verb
{
    internal override string Name => "transfers";

    internal override string Operands => "";

    internal override string Summary => "list the transfer functions that -e may name";

    protected override int Do(IReadOnlyList<string> operands)
    {
        using ControlClient client = Daemon.Connect();
        IReadOnlyList<TransferDescription> transfers = client.ListTransfers();
        int width = transfers.Max(transfer => transfer.Name.Length);
        foreach (TransferDescription transfer in transfers)
            Console.Out.WriteLine($"{transfer.Name.PadRight(width)}  type {transfer.Number,2}  {(transfer.NeedsKey ? "needs a key" : "no key     ")}  {transfer.Summary}");
        return 0;
    }
}
