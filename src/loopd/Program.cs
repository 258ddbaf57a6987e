using System.CommandLine;
using LoopDaemon.Daemon;
using LoopDaemon.Daemon.Supervision;
using LoopDaemon.Daemon.Survival;
using LoopDaemon.Devices;
using LoopDaemon.Linux;
using LoopDaemon.Transfers;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Serilog;

// A shell script's background jobs are born ignoring SIGINT, and .NET leaves it at that; here it always means a clean end.
Signals.RestoreInterrupt();
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
}

static async Task<int> Serve(LoopdOptions options)
{
    if (options.CheckState)
        return StateCheck.Run(options);
    if (options.Supervise)
        return Supervisor.Run(options, [.. Environment.GetCommandLineArgs().Skip(1).Where(argument => argument != LoopdOptions.SuperviseOption)]);
    using InheritedDescriptors inherited = InheritedDescriptors.Receive();
    using ServiceNotification? manager = ServiceNotification.Connect();
    // Over io_uring nothing could go on: what is in the rings of a process ends with it.
    DescriptorStore? store = options.Engine == Engine.Threads ? DescriptorStore.Find(manager) : null;
    // Before there are other threads, which take it over. The score -900 leaves the kernel a way out if it is this process that eats
    // the memory.
    Errno flusher = MemoryPressure.ServeWriteback(), spared = MemoryPressure.SpareProcess(-900);
    using var end = new EndRequest(canPark: store is not null);
    using var loggers = new LateLoggers(options.LogLevel);
    TransferRegistry registry = TransferRegistry.CreateDefault();
    var table = new DeviceTable(options.MaxLoop, registry);
    var directory = new DeviceDirectory();
    var events = new EventFeed(table, directory);
    var passthrough = new KernelPassthrough(loggers.For<KernelPassthrough>());
    var control = new ControlService(table, registry, passthrough, options, directory, events, end, loggers.For<ControlService>());
    using var service = new LoopService(
        options, table, new DeviceFileSystem(table, passthrough), passthrough, directory, control, end, inherited, store,
        loggers.For<LoopService>());
    await service.StartAsync(CancellationToken.None);
    manager?.Send("READY=1");
    using ServiceReport? report = manager is null ? null : new ServiceReport(manager, table, service, options.Control, loggers.For<ServiceReport>());
    report?.Start();
    if (store is not null && (flusher != Errno.None || spared != Errno.None))
        service.LogUnsparing(flusher, spared);

    HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
    builder.Services.AddSerilog(loggers.Serilog);
    builder.Services.AddSingleton<IHostLifetime, SilentLifetime>();
    // Shutting down waits for the last open device, however long it takes.
    builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = Timeout.InfiniteTimeSpan);
    builder.Services.AddHostedService(_ => service);
    if (options.ExitWhenIdle)
        builder.Services.AddHostedService(host => new IdleExit(table, service, events, host.GetRequiredService<IHostApplicationLifetime>()));
    using IHost host = builder.Build();
    IHostApplicationLifetime lifetime = host.Services.GetRequiredService<IHostApplicationLifetime>();
    await host.StartAsync();
    using CancellationTokenRegistration ending = end.Asked.Register(lifetime.StopApplication);
    await host.WaitForShutdownAsync();
    return service.ExitCode;
}

static int Refuse(string sentence)
{
    Console.Error.WriteLine($"loopd: {sentence}");
    return 1;
}
