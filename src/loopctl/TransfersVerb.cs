using System.CommandLine;
using LoopDaemon.Control;

namespace LoopDaemon.CommandLine;

/// <summary><c>loopctl transfers</c>: what -e may name.</summary>
internal static class TransfersVerb
{
    internal static Command Create(Option<string?> control)
    {
        var command = new Command("transfers", "List the transfer functions that -e may name");
        command.SetAction(parsed =>
        {
            using ControlClient client = new Daemon(parsed.GetValue(control)).Connect();
            IReadOnlyList<TransferDescription> transfers = client.ListTransfers();
            int width = transfers.Max(transfer => transfer.Name.Length);
            foreach (TransferDescription transfer in transfers)
                Console.Out.WriteLine($"{transfer.Name.PadRight(width)}  type {transfer.Number,2}  {(transfer.NeedsKey ? "needs a key" : "no key     ")}  {transfer.Summary}");
            return 0;
        });
        return command;
    }
}
