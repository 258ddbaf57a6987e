using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using LoopDaemon.Linux;

namespace LoopDaemon.Daemon.Tests;

/// <summary>What a supervisor starts in place of a daemon. The file <c>N.do</c> in its directory says what the Nth one does, one
/// thing a line; what it has to tell goes to <c>N.told</c>.</summary>
internal static class FakeDaemon
{
    internal static int Run(string directory, bool isCheck)
    {
        if (isCheck)
        {
            Console.Error.WriteLine($"check in {Environment.GetEnvironmentVariable("TEST_MARK")}, NOTIFY_SOCKET={Environment.GetEnvironmentVariable("NOTIFY_SOCKET")}");
            return int.Parse(File.ReadAllText(Path.Combine(directory, "check")), CultureInfo.InvariantCulture);
        }
        int number = 1;
        while (File.Exists(Path.Combine(directory, $"{number}.told")))
            number++;
        string told = Path.Combine(directory, $"{number}.told");
        using var log = new StreamWriter(told) { AutoFlush = true };
        using var heard = new System.Collections.Concurrent.BlockingCollection<PosixSignal>();
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Hear), terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Hear);
        int session = Session();
        log.WriteLine($"process {Environment.ProcessId}, LISTEN_PID={Environment.GetEnvironmentVariable("LISTEN_PID")}, session {session}");
        log.WriteLine($"LISTEN_FDS={Environment.GetEnvironmentVariable("LISTEN_FDS")} LISTEN_FDNAMES={Environment.GetEnvironmentVariable("LISTEN_FDNAMES")}");
        log.WriteLine($"FDSTORE={Environment.GetEnvironmentVariable("FDSTORE")} WATCHDOG_USEC={Environment.GetEnvironmentVariable("WATCHDOG_USEC")}");
        using ServiceNotification manager = ServiceNotification.Connect()!;
        string script = Path.Combine(directory, $"{number}.do");
        foreach (string line in File.Exists(script) ? File.ReadAllLines(script) : File.ReadAllLines(Path.Combine(directory, "else.do")))
        {
            string[] words = line.Split(' ');
            switch (words)
            {
                case ["keep", var names, var content]:
                    using (FileDescriptor memory = FileDescriptor.CreateMemory(content, 0))
                    {
                        memory.WriteAt(0, Encoding.UTF8.GetBytes(content));
                        // Under several names: several descriptors of one description.
                        foreach (string name in names.Split(','))
                        {
                            using FileDescriptor another = memory.Duplicate();
                            manager.Send($"FDSTORE=1\nFDNAME={name}\nFDPOLL=0", another);
                        }
                    }
                    break;
                case ["keep-connection"]:
                    using (FileDescriptor fuse = FileDescriptor.CreateMemory("fuse", 0))
                        manager.Send("FDSTORE=1\nFDNAME=fuse\nFDPOLL=0", fuse);
                    break;
                case ["drop", var name]:
                    manager.Send($"FDSTOREREMOVE=1\nFDNAME={name}");
                    break;
                case ["say", _]:
                    manager.Send(words[1]);
                    break;
                case ["ready"]:
                    manager.Send("READY=1\nMAINPID=1\nEXTEND_TIMEOUT_USEC=5000000");
                    log.WriteLine("ready");
                    break;
                case ["barrier"]:
                    (FileDescriptor here, FileDescriptor there) = DescriptorPassing.CreatePair();
                    manager.Send("BARRIER=1", there);
                    there.Dispose();
                    log.WriteLine($"barrier {here.WaitReadable(TimeSpan.FromSeconds(10))}");
                    here.Dispose();
                    break;
                case ["address"]:
                    log.WriteLine(Environment.GetEnvironmentVariable("NOTIFY_SOCKET"));
                    break;
                case ["read"]:
                    // From 3 on; a descriptor that was not meant for it would lie behind.
                    int count = int.Parse(Environment.GetEnvironmentVariable("LISTEN_FDS")!, CultureInfo.InvariantCulture);
                    for (int i = 3; i < 3 + count; i++)
                        log.WriteLine($"{i}: {File.ReadAllText($"/proc/self/fd/{i}")}");
                    break;
                case ["descriptors"]:
                    // The runtime has one of its own.
                    log.WriteLine(string.Join(' ', Directory.GetFileSystemEntries("/proc/self/fd").Select(link => new FileInfo(link).LinkTarget?.Split(' ')[0])
                        .Where(target => target?.StartsWith("/memfd:", StringComparison.Ordinal) == true && target != "/memfd:doublemapper")));
                    break;
                case ["wait"]:
                    log.WriteLine($"heard {heard.Take()}");
                    break;
                case ["wait-more"]:
                    log.WriteLine(heard.TryTake(out PosixSignal more, TimeSpan.FromSeconds(1)) ? $"heard {more}" : "heard no more");
                    break;
                case ["wait-for", var file]:
                    while (!File.Exists(Path.Combine(directory, file)))
                        Thread.Sleep(10);
                    break;
                case ["ping", var seconds]:
                    for (int i = 0; i < int.Parse(seconds, CultureInfo.InvariantCulture) * 10; i++)
                    {
                        manager.Send("WATCHDOG=1");
                        Thread.Sleep(100);
                    }
                    log.WriteLine("pinged");
                    break;
                case ["hang"]:
                    Thread.Sleep(Timeout.Infinite);
                    break;
                case ["die"]:
                    log.WriteLine("dies");
                    System.Diagnostics.Process.GetCurrentProcess().Kill();
                    Thread.Sleep(Timeout.Infinite);
                    break;
                case ["exit", var code]:
                    log.WriteLine($"exits {code}");
                    return int.Parse(code, CultureInfo.InvariantCulture);
                default:
                    throw new ArgumentException(line);
            }
        }
        return 0;

        void Hear(PosixSignalContext signal)
        {
            signal.Cancel = true;
            heard.Add(signal.Signal);
        }
    }

    /// <summary>Of /proc/self/stat (proc(5)), the sixth field: here the fourth behind the name.</summary>
    private static int Session() => int.Parse(File.ReadAllText("/proc/self/stat").Split(") ")[^1].Split(' ')[3], CultureInfo.InvariantCulture);
}
