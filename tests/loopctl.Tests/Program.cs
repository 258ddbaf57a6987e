using System.Globalization;
using System.Text;
using LoopDaemon.CommandLine.Keys;
using Xunit.MicrosoftTestingPlatform;
using Xunit.Runner.InProc.SystemConsole;

namespace LoopDaemon.CommandLine.Tests;

/// <summary>Runs the tests; or asks for a pass phrase (<c>ask</c>, <c>ask verify</c>) or reads some (<c>read N...</c>), as a
/// process that tests start.</summary>
internal static class Program
{
    public static async Task<int> Main(string[] args) => args switch
    {
        ["ask"] => Print(() => Passphrase.Ask(verify: false)),
        ["ask", "verify"] => Print(() => Passphrase.Ask(verify: true)),
        ["read", ..] => args[1..].Sum(number => Print(() => Passphrase.Read(int.Parse(number, CultureInfo.InvariantCulture)))),
        // As in the entry point that is generated for other projects.
        _ when args.Contains("--server") || args.Contains("--internal-msbuild-node") =>
            await TestPlatformTestFramework.RunAsync(args, SelfRegisteredExtensions.AddSelfRegisteredExtensions),
        _ => await ConsoleRunner.Run(args),
    };

    /// <summary>Prints a pass phrase backwards, so that the transcript of a terminal holds it forwards only if it was
    /// echoed.</summary>
    private static int Print(Func<Passphrase> get)
    {
        try
        {
            using Passphrase passphrase = get();
            Console.WriteLine($"{passphrase.Bytes.Length} bytes: {string.Concat(Encoding.UTF8.GetString(passphrase.Bytes).Reverse())}");
            return 0;
        }
        catch (CommandException refused)
        {
            Console.WriteLine(refused.Message);
            return 1;
        }
    }
}
