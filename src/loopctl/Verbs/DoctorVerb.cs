using LoopDaemon.CommandLine.Doctor;
using LoopDaemon.Control;

namespace LoopDaemon.CommandLine;

/// <summary><c>loopctl doctor</c>: what a loopd would lack here, and what one has left behind.</summary>
internal sealed class DoctorVerb : Verb
{
    private bool _fix;

    internal DoctorVerb() => OwnOptions =
    [
        new OptionGroup("Options",
            new Option("--fix", "clean up what is dead for certain", () => _fix = true)),
    ];

    internal override string Name => "doctor";

    internal override string Operands => "";

    internal override string Summary => "look for what is missing, dead or left over, and clean it up";

    internal override IReadOnlyList<(string What, string How)> Examples =>
    [
        ("Take away what a daemon has left that died without a supervisor", "loopctl doctor --fix"),
    ];

    protected override IReadOnlyList<OptionGroup> OwnOptions { get; }

    protected override int Do(IReadOnlyList<string> operands)
    {
        bool answers = Examine(out string daemon);
        Report(new Finding(Health.Ok, daemon));
        // All findings first: what one mends may hide another.
        bool isWell = true;
        foreach (Finding finding in (Finding[])[.. Machine.Examine(), .. Leftovers.Examine(Daemon.Socket, answers)])
            isWell &= Report(finding);
        return isWell ? 0 : 1;
    }

    private bool Examine(out string text)
    {
        using ControlClient? client = Daemon.ConnectIfReady();
        try
        {
            DaemonStatus? daemon = client?.GetDaemon();
            text = daemon is null ? $"no daemon answers on {Daemon.Socket}" : $"the daemon on {Daemon.Socket} answers (process {daemon.Process}, devices in {daemon.Mount})";
            return daemon is not null;
        }
        catch (ControlException failed)
        {
            text = $"the daemon on {Daemon.Socket} does not answer: {failed.Message}";
            return true;
        }
    }

    /// <summary>Tells of a finding, and mends it where that is wanted.</summary>
    /// <returns>Whether all is well now.</returns>
    private bool Report(Finding finding)
    {
        bool mends = _fix && finding.Mend is not null;
        string? failure = mends ? finding.Mend!() : null;
        string state = finding.Health == Health.Ok ? "ok" : mends && failure is null ? "fixed" : finding.Health == Health.Problem ? "problem" : "warning";
        Console.Out.WriteLine($"{state}: {finding.Text}{(failure is null ? "" : $" (this failed: {failure})")}");
        return finding.Health != Health.Problem || state == "fixed";
    }
}
