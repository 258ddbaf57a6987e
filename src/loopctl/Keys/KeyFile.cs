using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine.Keys;

/// <summary>A file that is a transfer's key. It goes into a memory file whose descriptor travels; it is in no
/// argument, message or log.</summary>
internal static class KeyFile
{
    private const int MaxKeyBytes = 64 * 1024;

    /// <summary>Reads a key.</summary>
    /// <param name="path">The file; - is standard input.</param>
    /// <returns>The key, byte by byte as it is.</returns>
    /// <exception cref="CommandException">It cannot be read, or is too long.</exception>
    internal static FileDescriptor Read(string path)
    {
        // Pinned, so that no copy stays behind where the collector moved it.
        byte[] key = GC.AllocateArray<byte>(MaxKeyBytes + 1, pinned: true);
        try
        {
            Errno error = path == "-" ? ReadStandardInput(key, out int length) : ReadFile(path, key, out length);
            if (error != Errno.None)
                throw new CommandException($"{path}: cannot read the key: {error.Describe()}");
            if (length > MaxKeyBytes)
                throw new CommandException($"{path}: a key is at most {MaxKeyBytes} bytes long");
            return KeyDescriptor.Create(key.AsSpan(0, length));
        }
        finally
        {
            Array.Clear(key);
        }
    }

    private static Errno ReadFile(string path, Span<byte> key, out int length)
    {
        length = 0;
        Errno error = FileDescriptor.TryOpen(path, OpenFlags.ReadOnly, out FileDescriptor? file);
        if (error != Errno.None)
            return error;
        using (file)
        {
            int got;
            do
            {
                error = file!.Read(key[length..], out got);
                length += got;
            }
            while (error == Errno.EINTR || (error == Errno.None && got > 0 && length < key.Length));
        }
        return error;
    }

    private static Errno ReadStandardInput(Span<byte> key, out int length)
    {
        using Stream input = Console.OpenStandardInput();
        length = input.ReadAtLeast(key, key.Length, throwOnEndOfStream: false);
        return Errno.None;
    }
}
