using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary>Where the key of a transfer comes from. It goes into a memory file whose descriptor travels; it is in no
/// argument, message or log.</summary>
internal static class KeySource
{
    private const int MaxKeyBytes = 64 * 1024;

    /// <summary>Gets the key of one transfer. This is the place where the options of pass phrases take effect.</summary>
    /// <param name="keyFile">The file that holds it, or null.</param>
    /// <param name="options">How to get it without a file.</param>
    /// <returns>The key, or null where none was asked for.</returns>
    /// <exception cref="CommandException">It cannot be had.</exception>
    internal static FileDescriptor? Open(string? keyFile, KeyOptions options)
    {
        if (options != new KeyOptions())
            throw new CommandException("keys from pass phrases are not there yet: give the key with --key-file");
        return keyFile is null ? null : Read(keyFile);
    }

    private static FileDescriptor Read(string path)
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
