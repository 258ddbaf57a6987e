using System.CommandLine;
using LoopDaemon.CommandLine;
using LoopDaemon.Control;
using LoopDaemon.Linux;

var control = new Option<string?>("--control")
{
    HelpName = "SOCKET",
    Description = "The daemon's control socket (or LOOPD_CONTROL)",
    Recursive = true,
};
var root = new RootCommand("Binds files to loop devices in user space, through transfer functions. Without arguments it lists the bound devices.")
{
    control,
    MountVerb.Create(control),
    UmountVerb.Create(control),
    TransfersVerb.Create(control),
};
new LosetupFace(control).AddTo(root);

ParseResult parsed = Arguments.Parse(root, args);
if (Arguments.Complaint(parsed, args) is { } complaint)
    return Refuse($"{complaint} Try loopctl --help.");
try
{
    return parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (Exception expected) when (expected is CommandException or ControlException or LinuxException or IOException or UnauthorizedAccessException)
{
    return Refuse(expected.Message);
}

// One line, also of what another program printed on several.
static int Refuse(string sentence)
{
    string[] lines = sentence.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
    Console.Error.WriteLine($"loopctl: {string.Join(' ', lines)}");
    return 1;
}
