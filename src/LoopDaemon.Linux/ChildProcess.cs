using System.Globalization;
using System.Runtime.InteropServices;

namespace LoopDaemon.Linux;

/// <summary>A child process that is given descriptors by number, which <see cref="System.Diagnostics.Process"/> cannot
/// (posix_spawn(3), pidfd_open(2), waitpid(2)).</summary>
public sealed unsafe class ChildProcess : IDisposable
{
    private const int FirstDescriptor = 3;
    private const int Kill = 9;

    /// <summary>More than the C libraries' structures have: 80 and 336 bytes in glibc.</summary>
    private const int OpaqueBytes = 512;

    private ChildProcess(int id, FileDescriptor end)
    {
        Id = id;
        End = end;
    }

    /// <summary>The process id.</summary>
    public int Id { get; }

    /// <summary>Becomes readable when the process has ended.</summary>
    public FileDescriptor End { get; }

    /// <summary>Starts a program in a session of its own, so that a terminal's signals do not reach it. Signals are as by
    /// default and none is blocked. LISTEN_PID is its process id.</summary>
    /// <param name="program">The program's path.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="environment">Its whole environment.</param>
    /// <param name="descriptors">Open in it under the numbers from 3 on; their own numbers must lie above those.</param>
    /// <exception cref="LinuxException">It cannot be started.</exception>
    public static ChildProcess Start(
        string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string> environment, IReadOnlyList<FileDescriptor> descriptors)
    {
        // A process cannot be told its own number before it has one; the shell knows it, and keeps it over the exec.
        string[] argv = ["/bin/sh", "-c", "export LISTEN_PID=$$; exec \"$0\" \"$@\"", program, .. arguments];
        string[] envp = [.. environment.Select(variable => $"{variable.Key}={variable.Value}")];
        byte* actions = stackalloc byte[OpaqueBytes];
        byte* attributes = stackalloc byte[OpaqueBytes];
        // sigset_t of glibc, 128 bytes: all signals, and none.
        byte* all = stackalloc byte[128];
        byte* none = stackalloc byte[128];
        new Span<byte>(all, 128).Fill(0xFF);
        new Span<byte>(none, 128).Clear();
        const short SetSignalDefaults = 0x04, SetSignalMask = 0x08, SetSession = 0x80;
        nint[] nativeArguments = Native(argv), nativeEnvironment = Native(envp);
        Require(Libc.posix_spawn_file_actions_init(actions), program);
        Require(Libc.posix_spawnattr_init(attributes), program);
        try
        {
            for (int i = 0; i < descriptors.Count; i++)
                Require(Libc.posix_spawn_file_actions_adddup2(actions, descriptors[i].Number, FirstDescriptor + i), program);
            Require(Libc.posix_spawnattr_setflags(attributes, SetSignalDefaults | SetSignalMask | SetSession), program);
            Require(Libc.posix_spawnattr_setsigdefault(attributes, all), program);
            Require(Libc.posix_spawnattr_setsigmask(attributes, none), program);
            int id = 0;
            fixed (nint* first = nativeArguments, variables = nativeEnvironment)
                Require(Libc.posix_spawn(&id, argv[0], actions, attributes, first, variables), program);
            int end = Libc.pidfd_open(id);
            if (end >= 0)
                return new ChildProcess(id, new FileDescriptor(end));
            Errno unwatched = LastError.Get();
            // Nobody would know of it.
            _ = Libc.kill(id, Kill);
            Wait(id);
            throw new LinuxException(unwatched, $"cannot watch process {id}");
        }
        finally
        {
            _ = Libc.posix_spawn_file_actions_destroy(actions);
            _ = Libc.posix_spawnattr_destroy(attributes);
            Free(nativeArguments);
            Free(nativeEnvironment);
        }
    }

    /// <summary>Sends a signal, by its number.</summary>
    public void Signal(int number) => _ = Libc.kill(Id, number);

    /// <summary>Waits for the end.</summary>
    /// <returns>The exit code, or 128 and the number of the signal that has ended it, as a shell has it.</returns>
    public int WaitForExit() => Wait(Id);

    private static int Wait(int id)
    {
        int status = 0;
        while (Libc.waitpid(id, &status, 0) < 0)
        {
            // Somebody else has waited for it, and knows how it ended: certainly not as it should have.
            if (LastError.Get() != Errno.EINTR)
                return 128 + Kill;
        }
        int signal = status & 0x7F;
        return signal == 0 ? status >> 8 & 0xFF : 128 + signal;
    }

    /// <inheritdoc/>
    public void Dispose() => End.Dispose();

    private static void Require(int error, string program)
    {
        if (error != 0)
            throw new LinuxException((Errno)error, string.Create(CultureInfo.InvariantCulture, $"cannot start {program}"));
    }

    /// <summary>Strings for the C library, the array ending with a null.</summary>
    private static nint[] Native(string[] strings) => [.. strings.Select(Marshal.StringToCoTaskMemUTF8), 0];

    private static void Free(nint[] strings)
    {
        foreach (nint text in strings)
            Marshal.FreeCoTaskMem(text);
    }
}
