using System.CommandLine;
using System.Globalization;
using LoopDaemon.Control;
using LoopDaemon.Devices;
using LoopDaemon.Fuse;
using Serilog.Events;

namespace LoopDaemon.Daemon;

/// <summary>How requests come from the kernel.</summary>
internal enum Engine
{
    /// <summary>Threads that block on <c>/dev/fuse</c>.</summary>
    Threads,
    /// <summary>FUSE over io_uring.</summary>
    Uring,
}

/// <summary>What the daemon was told on its command line, or else in LOOPD_* environment variables.</summary>
/// <param name="MaxLoop">How many devices always exist.</param>
/// <param name="Mount">Where they are mounted.</param>
/// <param name="Control">The control socket's path.</param>
/// <param name="ControlMode">The control socket's permission bits.</param>
/// <param name="Engine">How requests come from the kernel.</param>
/// <param name="Threads">How many requests the threads engine serves at a time.</param>
/// <param name="Passthrough">Whether the kernel reads and writes backing files itself, for devices bound without a choice of
/// their own.</param>
/// <param name="LogLevel">What is logged.</param>
/// <param name="ExitWhenIdle">End with the last device.</param>
/// <param name="Resend">After a crash, have the kernel send again what no slot holds.</param>
/// <param name="Supervise">Run the daemon as a child, and start the next one when it dies.</param>
/// <param name="Watchdog">How long a supervised daemon may give no sign of life.</param>
/// <param name="CheckState">Only tell whether the running daemon's state is understood.</param>
internal sealed record LoopdOptions(
    int MaxLoop, string Mount, string Control, UnixFileMode ControlMode, Engine Engine, int Threads, Passthrough Passthrough,
    LogEventLevel LogLevel, bool ExitWhenIdle, bool Resend, bool CheckState, bool Supervise, TimeSpan Watchdog)
{
    /// <summary>The one option that the daemon itself is not given.</summary>
    internal const string SuperviseOption = "--supervise";

    private const string OwnerOnly = "0600";

    /// <summary>The command line; what it gives goes to <paramref name="run"/>, whose result is the exit code.</summary>
    internal static RootCommand Command(Func<LoopdOptions, Task<int>> run)
    {
        var maxLoop = new Setting<int>("--max-loop", "N", "8", "How many devices always exist; further ones are made on demand", text => Number(text, 1, DeviceTable.Limit));
        var mount = new Setting<string>("--mount", "DIR", RuntimeDirectory.DefaultMount, "Where the devices are mounted", text => text);
        var control = new Setting<string>("--control", "SOCKET", RuntimeDirectory.DefaultSocket, "The control socket", text => text);
        var controlMode = new Setting<UnixFileMode>("--control-mode", "MODE", OwnerOnly,
            "The control socket's permissions: who may connect; a user sees and clears what he bound, root all", Mode);
        var engine = new Setting<Engine>("--engine", "ENGINE", "threads",
            "How requests come from the kernel: threads, or uring, which answers more small requests but loses those under way when loopd is killed",
            EngineOf);
        var threads = new Setting<int>("--threads", "N", FuseServer.DefaultThreads.ToString(CultureInfo.InvariantCulture),
            "How many requests the threads engine serves at a time", text => Number(text, 1, 64));
        var passthrough = new Setting<Passthrough>("--passthrough", "auto|on|off", "auto",
            "Whether the kernel reads and writes a backing file itself where a device is just that file (Linux 6.9, root); a bind may say otherwise", Choice);
        var logLevel = new Setting<LogEventLevel>("--log-level", "LEVEL", "information",
            "What is logged: verbose, debug, information, warning, error or fatal", Level);
        var exitWhenIdle = new Option<bool>("--exit-when-idle")
        {
            Description = "End when the last device is cleared, or when none is bound within ten seconds",
        };
        var noResend = new Option<bool>("--no-resend")
        {
            Description = "After a crash, answer what was under way from what the last daemon kept alone, without the kernel's help (Linux 6.9), as on older kernels",
        };
        var checkState = new Option<bool>("--check-state")
        {
            Description = "Only tell whether this program could go on where the running daemon is (exit code 0) or not (1)",
        };
        var watchdog = new Setting<TimeSpan>("--watchdog", "SECONDS", "30",
            "With --supervise: how long the daemon may give no sign of life before it is ended and the next one started",
            text => TimeSpan.FromSeconds(Number(text, 1, 3600)));
        var supervise = new Option<bool>(SuperviseOption)
        {
            // Given as --supervise=true it would not be recognized where the daemon's own command line is made.
            Arity = ArgumentArity.Zero,
            Description = "Run the daemon as a child that may die without a loss: where it ends, the next one goes on with its mount. SIGHUP upgrades it, SIGINT and SIGTERM end it",
        };
        var command = new RootCommand(
            "Loop devices in user space: shows numbered block files on a FUSE mount, each bound to a backing file through a pipeline of transfers. "
            + "Each option with a value can be given as an environment variable instead, such as LOOPD_MAX_LOOP.")
        {
            maxLoop.Option, mount.Option, control.Option, controlMode.Option, engine.Option, threads.Option, passthrough.Option,
            logLevel.Option, exitWhenIdle, supervise, watchdog.Option, noResend, checkState,
        };
        command.SetAction((parsed, _) =>
        {
            var options = new LoopdOptions(
                maxLoop.Of(parsed), mount.Of(parsed), control.Of(parsed), controlMode.Of(parsed), engine.Of(parsed),
                threads.Of(parsed), passthrough.Of(parsed), logLevel.Of(parsed), parsed.GetValue(exitWhenIdle),
                !parsed.GetValue(noResend), parsed.GetValue(checkState), parsed.GetValue(supervise), watchdog.Of(parsed));
            if (options.Supervise && options.CheckState)
                throw new FormatException("--supervise starts a daemon and --check-state asks about one: give one of them");
            // In the environment it may be meant for another daemon; here it would be a misunderstanding.
            return options.Engine == Engine.Uring && parsed.GetValue(threads.Option) is not null
                ? throw new FormatException("--threads is for --engine threads: uring has two for each processor")
                : run(options);
        });
        return command;
    }

    private static Engine EngineOf(string text) => text switch
    {
        "threads" => Engine.Threads,
        "uring" => Engine.Uring,
        _ => throw new FormatException("must be threads or uring"),
    };

    private static int Number(string text, int least, int most) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number >= least && number <= most
            ? number : throw new FormatException($"must be a number from {least} to {most}");

    private static UnixFileMode Mode(string text)
    {
        const int AllBits = 0b110_110_110;
        int mode = text.Length is > 0 and <= 4 && text.All(digit => digit is >= '0' and <= '7') ? Convert.ToInt32(text, 8) : -1;
        return mode >= 0 && (mode & ~AllBits) == 0 ? (UnixFileMode)mode
            : throw new FormatException("must be octal read and write permissions, such as 0660");
    }

    private static Passthrough Choice(string text) => text switch
    {
        "auto" => Passthrough.Auto,
        "on" => Passthrough.On,
        "off" => Passthrough.Off,
        _ => throw new FormatException("must be auto, on or off"),
    };

    private static LogEventLevel Level(string text) =>
        Enum.TryParse(text, ignoreCase: true, out LogEventLevel level) && Enum.IsDefined(level) && !char.IsAsciiDigit(text[0])
            ? level : throw new FormatException("must be verbose, debug, information, warning, error or fatal");

    /// <summary>An option that an environment variable can stand in for: LOOPD_ and its name in capitals.</summary>
    private sealed class Setting<T>
    {
        private readonly string _variable;
        private readonly string _fallback;
        private readonly Func<string, T> _parse;

        internal Setting(string name, string argument, string fallback, string description, Func<string, T> parse)
        {
            _variable = "LOOPD_" + name.TrimStart('-').Replace('-', '_').ToUpperInvariant();
            _fallback = fallback;
            _parse = parse;
            Option = new Option<string?>(name) { HelpName = argument, Description = $"{description} (default: {fallback})" };
            Option.Validators.Add(result =>
            {
                if (result.Tokens.Count == 1 && Complaint(result.Tokens[0].Value) is { } complaint)
                    result.AddError($"{name} {complaint}");
            });
        }

        internal Option<string?> Option { get; }

        /// <exception cref="FormatException">The environment variable's value will not do.</exception>
        internal T Of(ParseResult parsed)
        {
            if (parsed.GetValue(Option) is { } given)
                return _parse(given);
            string? value = Environment.GetEnvironmentVariable(_variable);
            if (string.IsNullOrEmpty(value))
                return _parse(_fallback);
            return Complaint(value) is { } complaint ? throw new FormatException($"{_variable} {complaint}") : _parse(value);
        }

        private string? Complaint(string text)
        {
            try
            {
                return text.Length == 0 ? "must not be empty" : Ignore(_parse(text));
            }
            catch (FormatException wrong)
            {
                return $"{wrong.Message}, not \"{text}\"";
            }
        }

        private static string? Ignore(T _) => null;
    }
}
