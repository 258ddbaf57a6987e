using System.Diagnostics;
using System.Security.Cryptography;
using LoopDaemon.Linux;

namespace LoopDaemon.Control;

/// <summary>A key on its way to the daemon: the bytes behind a file descriptor, so that it is in no message, no argument
/// list and no log.</summary>
public static class KeyDescriptor
{
    /// <summary>Puts a key into an anonymous file in memory, for <see cref="TransferRequest.Key"/>. The memory is freed when
    /// its last descriptor is closed.</summary>
    /// <exception cref="LinuxException">There is no memory or no descriptor left.</exception>
    public static FileDescriptor Create(ReadOnlySpan<byte> key)
    {
        FileDescriptor memory = FileDescriptor.CreateMemory("loopd-key", key.Length);
        Errno error = memory.WriteAt(0, key);
        if (error == Errno.None)
            return memory;
        memory.Dispose();
        throw new LinuxException(error, "cannot store a key");
    }

    /// <summary>Reads a key that a client sent: a regular file or memfd from its first byte to its last, a pipe until its
    /// writers are done.</summary>
    /// <param name="descriptor">Where to read; it stays the caller's.</param>
    /// <param name="maxBytes">Longest key, in bytes.</param>
    /// <param name="timeout">How long a pipe's writer may take for the whole key.</param>
    /// <returns>The key in an array that the garbage collector never moves, so that no copy stays behind when the caller
    /// zeroes it.</returns>
    /// <exception cref="ControlException"><see cref="ControlError.BadKey"/>: it is neither file nor pipe, is too long, cannot
    /// be read, or (ETIMEDOUT) does not come in time.</exception>
    public static byte[] Read(FileDescriptor descriptor, int maxBytes, TimeSpan timeout)
    {
        Errno error = descriptor.GetStatus(out FileStatus status);
        if (error != Errno.None)
            throw Unreadable(error);
        if (status.Kind is not (FileKind.RegularFile or FileKind.Fifo))
            throw new ControlException(ControlError.BadKey, "a key must come from a regular file or a pipe");

        // One byte more than allowed tells "too long" from "just fits". Pinned: see above.
        byte[] buffer = GC.AllocateArray<byte>(maxBytes + 1, pinned: true);
        try
        {
            error = status.Kind == FileKind.Fifo
                ? ReadPipe(descriptor, buffer, timeout, out int count)
                : descriptor.ReadAt(0, buffer, out count);
            if (error != Errno.None)
                throw Unreadable(error);
            if (count > maxBytes)
                throw new ControlException(ControlError.BadKey, $"the key is longer than {maxBytes} bytes");
            byte[] key = GC.AllocateUninitializedArray<byte>(count, pinned: true);
            buffer.AsSpan(0, count).CopyTo(key);
            return key;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(buffer);
        }
    }

    private static Errno ReadPipe(FileDescriptor pipe, Span<byte> buffer, TimeSpan timeout, out int count)
    {
        var clock = Stopwatch.StartNew();
        count = 0;
        while (count < buffer.Length)
        {
            TimeSpan left = timeout - clock.Elapsed;
            Errno error = pipe.WaitReadable(left > TimeSpan.Zero ? left : TimeSpan.Zero);
            int got = 0;
            if (error == Errno.None)
                error = pipe.Read(buffer[count..], out got);
            // EAGAIN: the client made its end non-blocking, and another reader was faster.
            if (error is Errno.EINTR or Errno.EAGAIN)
                continue;
            if (error != Errno.None)
                return error;
            if (got == 0)
                break;
            count += got;
        }
        return Errno.None;
    }

    private static ControlException Unreadable(Errno error) => error == Errno.ETIMEDOUT
        ? new ControlException(ControlError.BadKey, error, "the key did not arrive in time")
        : new ControlException(ControlError.BadKey, error, $"the key cannot be read: {error.Describe()}");
}
