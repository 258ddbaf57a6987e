using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary>A program that mount(8) or umount(8) calls for the type loopd: their arguments, and their exit codes.</summary>
internal abstract class HelperCommand : Command
{
    /// <summary>Exit codes of mount(8).</summary>
    protected const int WrongUsage = 1, SystemError = 2, InternalError = 4, MountFailure = 32;

    private const string SystemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    private static readonly int[] ExitCodes = [WrongUsage, SystemError, InternalError, PutOffSignals.ExitCode, 16, MountFailure, 64];

    private bool _verbose;

    /// <summary>The options that both helpers have.</summary>
    protected HelperCommand() => CommonArguments =
    [
        new Option("-n --no-mtab", "do not write /etc/mtab", () => Handed.Add("-n")),
        new Option("-N --namespace", "NS", "do it in this mount namespace", value =>
        {
            Handed.AddRange(["-N", value]);
            IsInOtherNamespace = true;
        }),
        new Option("-v --verbose", "say each step", () => _verbose = true),
    ];

    internal override string CalledAs => Name;

    internal override IReadOnlyList<string> Usage => [$"{Operands} [options]"];

    protected IReadOnlyList<Option> CommonArguments { get; }

    /// <summary>What is handed on to the system's own program.</summary>
    protected List<string> Handed { get; } = [];

    /// <summary>Whether it is about a directory that this process does not see.</summary>
    protected bool IsInOtherNamespace { get; private set; }

    /// <summary>Says a step, where each is to be said.</summary>
    protected void Tell(string step)
    {
        if (_verbose)
            Console.Out.WriteLine($"{Name}: {step}");
    }

    /// <summary>Looks at what the command line says. What it complains of is wrong usage.</summary>
    protected abstract void Check(IReadOnlyList<string> operands);

    /// <summary>Does it.</summary>
    protected abstract void Do();

    protected sealed override int Run(IReadOnlyList<string> operands)
    {
        string[] wanted = Operands.Split(' ');
        if (operands.Count < wanted.Length)
            throw new UsageException($"no {wanted[operands.Count]} specified: {Name} {Usage[0]}");
        if (operands.Count > wanted.Length)
            throw new UsageException($"unexpected argument '{operands[wanted.Length]}': {Name} {Usage[0]}");
        if (!Credentials.IsRoot)
            throw new CommandException($"{operands[0]}: {Name} needs root: the mount options user, users, owner and group do not work for the type loopd", WrongUsage);
        Check(operands);
        // mount(8) takes the path out of the environment of what it calls.
        if (string.IsNullOrEmpty(Environment.GetEnvironmentVariable("PATH")))
            Environment.SetEnvironmentVariable("PATH", SystemPath);
        try
        {
            Do();
            return 0;
        }
        catch (ExternalProgramException failed)
        {
            throw new CommandException(failed.Message, ExitCodes.Contains(failed.ProgramExitCode) ? failed.ProgramExitCode : MountFailure);
        }
        catch (CommandException failed)
        {
            throw new CommandException(failed.Message, failed.ExitCode == PutOffSignals.ExitCode ? failed.ExitCode : MountFailure);
        }
        catch (ControlException refused)
        {
            throw new CommandException(refused.Message, MountFailure);
        }
        catch (Exception failed) when (failed is LinuxException or IOException or UnauthorizedAccessException)
        {
            throw new CommandException(failed.Message, SystemError);
        }
        catch (Exception bug)
        {
            throw new CommandException($"internal error: {bug}", InternalError);
        }
    }
}
