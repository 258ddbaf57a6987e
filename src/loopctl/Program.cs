using LoopDaemon.CommandLine;
using LoopDaemon.Control;
using LoopDaemon.Linux;

// EPIPE, which has no name in Errno: nobody reads any more, and nobody wants to know.
const Errno BrokenPipe = (Errno)32;

Console.SetOut(new StandardStream(1, isBuffered: true));
Console.SetError(new StandardStream(2, isBuffered: false));
int exitCode = Run(() =>
{
    Invocation line = Invocation.Read(ProgramName.Called(), args);
    Failure.Speaker = line.Command.CalledAs;
    return line.Run();
});
int flushed = Run(() =>
{
    Console.Out.Flush();
    return 0;
});
return Math.Max(exitCode, flushed);

static int Run(Func<int> act)
{
    try
    {
        return act();
    }
    catch (UsageException wrong)
    {
        Failure.Complain(wrong.Message);
        Console.Error.WriteLine($"Try '{Failure.Speaker} --help' for more information.");
    }
    catch (LinuxException closed) when (closed.Errno == BrokenPipe)
    {
    }
    catch (Exception expected) when (expected is CommandException or ControlException or IOException or UnauthorizedAccessException)
    {
        Failure.Complain(expected.Message);
        return expected is CommandException { ExitCode: var code } ? code : 1;
    }
    return 1;
}
