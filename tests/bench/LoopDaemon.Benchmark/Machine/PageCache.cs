using Mono.Unix.Native;

namespace LoopDaemon.Benchmark.Machine;

/// <summary>The system's page cache.</summary>
internal static class PageCache
{
    /// <summary>Writes all that is dirty and forgets all that is cached, names and inodes included.</summary>
    internal static void Drop()
    {
        _ = Syscall.sync();
        File.WriteAllText("/proc/sys/vm/drop_caches", "3");
    }
}
