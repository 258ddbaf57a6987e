using System.CommandLine;
using LoopDaemon.Control;
using LoopDaemon.Daemon;
using LoopDaemon.Devices;
using LoopDaemon.Linux;
using LoopDaemon.Transfers;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Mono.Unix.Native;
using Serilog;

// A shell script's background jobs are born ignoring SIGINT, and .NET leaves it at that; here it always means a clean end.
Stdlib.SetSignalAction(Signum.SIGINT, SignalAction.Default);
return await Run(args);

static async Task<int> Run(string[] args)
{
    ParseResult parsed = LoopdOptions.Command(Serve).Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null });
    if (parsed.Errors.Count > 0)
        return Refuse($"{parsed.Errors[0].Message}; try loopd --help");
    try
    {
        return await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });
    }
    catch (Exception expected) when (expected is LinuxException or FormatException)
    {
        return Refuse(expected.Message);
    }
    finally
    {
        await Log.CloseAndFlushAsync();
    }
}

static async Task<int> Serve(LoopdOptions options)
{
    Log.Logger = Logging.Create(options.LogLevel);
    HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
    builder.Services.AddSerilog(Log.Logger);
    builder.Services.AddSystemd();
    builder.Services.Configure<ConsoleLifetimeOptions>(lifetime => lifetime.SuppressStatusMessages = true);
    // Shutting down waits for the last open device, however long it takes.
    builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = Timeout.InfiniteTimeSpan);
    builder.Services.AddSingleton(options);
    builder.Services.AddSingleton(TransferRegistry.CreateDefault());
    builder.Services.AddSingleton(services => new DeviceTable(options.MaxLoop, services.GetRequiredService<TransferRegistry>()));
    builder.Services.AddSingleton<KernelPassthrough>();
    builder.Services.AddSingleton<DeviceFileSystem>();
    builder.Services.AddSingleton<DeviceDirectory>();
    builder.Services.AddSingleton<EventFeed>();
    builder.Services.AddSingleton<IControlService, ControlService>();
    builder.Services.AddSingleton<LoopService>();
    builder.Services.AddHostedService(services => services.GetRequiredService<LoopService>());
    if (options.ExitWhenIdle)
        builder.Services.AddHostedService<IdleExit>();
    using IHost host = builder.Build();
    LoopService service = host.Services.GetRequiredService<LoopService>();
    await host.StartAsync();
    await host.WaitForShutdownAsync();
    return service.ExitCode;
}

static int Refuse(string sentence)
{
    Console.Error.WriteLine($"loopd: {sentence}");
    return 1;
}
