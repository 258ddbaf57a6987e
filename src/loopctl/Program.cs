using System.Text;
using LoopDaemon.CommandLine;
using LoopDaemon.Control;
using LoopDaemon.Linux;

var output = new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(encoderShouldEmitUTF8Identifier: false));
Console.SetOut(output);
int exitCode = Run();
try
{
    output.Flush();
}
catch (IOException failure)
{
    Failure.Complain($"write error: {failure.Message}");
    exitCode = 1;
}
return exitCode;

int Run()
{
    try
    {
        return Invocation.Read(args).Run();
    }
    catch (UsageException wrong)
    {
        Failure.Complain(wrong.Message);
        Console.Error.WriteLine($"Try '{Command.Program} --help' for more information.");
    }
    catch (Exception expected) when (expected is CommandException or ControlException or LinuxException or IOException or UnauthorizedAccessException)
    {
        Failure.Complain(expected.Message);
    }
    return 1;
}
