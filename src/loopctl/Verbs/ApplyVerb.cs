using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary><c>loopctl apply</c>: binds the devices of looptab. What is bound already as the table says is left alone, so that
/// it can be done again at any time; what is bound otherwise is complained of, and left alone too.</summary>
internal sealed class ApplyVerb : Verb
{
    private bool _check;

    internal ApplyVerb() => OwnOptions =
        [new OptionGroup("Options", new Option("--check", "look for mistakes in the table, and for missing files; bind nothing", () => _check = true))];

    internal override string Name => "apply";

    internal override string Operands => "[FILE] [NAME...]";

    internal override string Summary => "bind the devices of a table, by default /etc/loopd/looptab";

    internal override string Description =>
        $"Bind the devices that are in {Looptab.DefaultPath} or in FILE, which is an operand with a slash in it: all but those with noauto, "
        + "or those that are named. One that is bound already as the table says is left alone; one that is bound otherwise is an error and left alone too. "
        + "Where no daemon answers on the default socket, one is started that ends with its last device.";

    internal override IReadOnlyList<(string What, string How)> Examples =>
    [
        ("A table of one line, looked through and then applied", "loopctl apply --check ./looptab && loopctl apply ./looptab"),
        ("One device of /etc/loopd/looptab, also if it has noauto", "loopctl apply backup"),
    ];

    protected override IReadOnlyList<OptionGroup> OwnOptions { get; }

    internal override string OperandAt(int index, IReadOnlyList<Option> given) => "FILE|NAME";

    protected override int Do(IReadOnlyList<string> operands)
    {
        bool hasFile = operands.Count > 0 && operands[0].Contains('/', StringComparison.Ordinal);
        string[] names = [.. operands.Skip(hasFile ? 1 : 0)];
        var table = Looptab.Read(hasFile ? operands[0] : Looptab.DefaultPath);
        int result = 0;
        foreach (LooptabMistake mistake in table.Mistakes.Where(mistake => names.Length == 0 || mistake.Name is null || IsAmong(names, mistake.Name)))
        {
            Failure.Complain(table.Sentence(mistake.Number, mistake.Message));
            result = 1;
        }
        foreach (string name in names.Where(name => !table.Lines.Any(line => line.IsNamed(name)) && !table.Mistakes.Any(mistake => mistake.Name is { } wrong && LooptabLine.AreSame(wrong, name))))
        {
            Failure.Complain($"{table.Path}: has no line {name}");
            result = 1;
        }
        LooptabLine[] lines = [.. table.Lines.Where(line => names.Length == 0 ? !line.IsSkippedUnlessNamed : IsAmong(names, line.Name))];
        if (lines.Length == 0)
            return result;
        return Math.Max(result, _check ? ForEach(table, lines, Check) : Apply(table, lines));
    }

    private static bool IsAmong(string[] names, string name) => Array.Exists(names, one => LooptabLine.AreSame(one, name));

    /// <summary>Does something for each line, and goes on after one for which it fails.</summary>
    /// <returns>The exit code.</returns>
    private static int ForEach(Looptab table, LooptabLine[] lines, Action<LooptabLine> act)
    {
        int result = 0;
        foreach (LooptabLine line in lines)
        {
            try
            {
                act(line);
            }
            catch (Exception failed) when (failed is CommandException or ControlException or LinuxException or IOException)
            {
                Failure.Complain(table.Sentence(line.Number, $"{line.Name}: {failed.Message}"));
                result = line.MayFail ? result : 1;
            }
        }
        return result;
    }

    private static void Check(LooptabLine line) => line.WithKeys(line.Request());

    private int Apply(Looptab table, LooptabLine[] lines)
    {
        Daemon daemon = Daemon;
        using ControlClient client = daemon.ConnectOrStart();
        using var turn = ApplyTurn.Take(daemon.Socket);
        return ForEach(table, lines, line => Apply(table, line, client));
    }

    private static void Apply(Looptab table, LooptabLine line, ControlClient client)
    {
        ConfigureRequest request = line.Request();
        using FileDescriptor file = request.BackingFile;
        if (FindBound(line, request, client) is { } bound)
        {
            if (DeviceDifference.Of(bound, request, client) is { } difference)
                throw new CommandException($"{bound.Path} is bound otherwise: {difference}: detach it first, or change the line");
            Console.Out.WriteLine($"{line.Name}: {bound.Path}, bound already");
            return;
        }
        try
        {
            ConfigureReply reply = line.Bind(client, line.WithKeys(request));
            Console.Out.WriteLine($"{line.Name}: {reply.Path}");
            Failure.Warn(table.Sentence(line.Number, line.Name), reply.Warnings);
        }
        catch (ControlException refused)
        {
            throw BindRefusal.Of(refused, line.BackingFile, file, line.Device is { } number ? $"loop{number}" : null);
        }
    }

    /// <summary>The line's device, if it is bound: that of its number, or one of this user's that has its name for a reference
    /// (others may write there what they like).</summary>
    private static DeviceStatus? FindBound(LooptabLine line, ConfigureRequest request, ControlClient client)
    {
        DeviceStatus[] bound = [.. client.List().Where(device =>
            line.Device is { } number ? device.Device == number : device.Reference == line.Name && device.Owner == Credentials.UserId)];
        return Array.Find(bound, device => DeviceDifference.Of(device, request, client) is null) ?? bound.FirstOrDefault();
    }
}
