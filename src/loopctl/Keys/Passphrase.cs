using System.Security.Cryptography;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine.Keys;

/// <summary>The bytes of a pass phrase, in memory that the garbage collector does not copy and that is wiped on disposal.
/// It ends, as a string of C does, at its first NUL; it is never empty.</summary>
internal sealed class Passphrase : IDisposable
{
    /// <summary>The longest one, in bytes: loop-AES took no more, and it is less than the 4095 bytes at which the kernel cuts
    /// off a terminal's line without a word, so that one which was cut off is refused.</summary>
    internal const int MaxBytes = 4094;

    // One byte more tells what is too long from what just fits.
    private readonly byte[] _bytes = GC.AllocateArray<byte>(MaxBytes + 1, pinned: true);
    private int _length;

    private Passphrase()
    {
    }

    /// <summary>The pass phrase, 1 to <see cref="MaxBytes"/> bytes, whatever their encoding.</summary>
    /// <exception cref="ObjectDisposedException">It has been wiped.</exception>
    internal ReadOnlySpan<byte> Bytes
    {
        get
        {
            ObjectDisposedException.ThrowIf(_length == 0, this);
            return _bytes.AsSpan(0, _length);
        }
    }

    /// <summary>Reads one from a descriptor that this process was started with, as losetup's <c>--pass-fd</c> did: up to a
    /// newline, a NUL or the end. What follows the newline is left for the next one who reads.</summary>
    /// <param name="descriptor">The descriptor's number; it stays open.</param>
    /// <exception cref="CommandException">There is no such descriptor, it cannot be read, or what is read is empty or too
    /// long.</exception>
    internal static Passphrase Read(int descriptor)
    {
        if (!IsInherited(descriptor))
            throw Unreadable(descriptor, Errno.EBADF);
        var borrowed = new FileDescriptor(descriptor);
        try
        {
            return Fill($"file descriptor {descriptor}", bytes => ReadLine(borrowed, bytes));
        }
        finally
        {
            borrowed.SetHandleAsInvalid();
        }
    }

    /// <summary>Asks for one on the terminal, with losetup's own prompt; what is typed is not shown.</summary>
    /// <param name="verify">Whether to ask twice, so that a mistyped one does not encrypt anything.</param>
    /// <exception cref="CommandException">There is no terminal, what is typed is empty or too long, or the second one
    /// differs from the first.</exception>
    /// <exception cref="LinuxException">The terminal cannot be used.</exception>
    internal static Passphrase Ask(bool verify)
    {
        Errno error = Terminal.TryOpen(out Terminal? terminal);
        if (terminal is null)
        {
            throw new CommandException(
                $"there is no terminal to ask for the pass phrase on ({error.Describe()}): give it with --pass-fd N, or the key itself with --key-file FILE");
        }
        using (terminal)
            return verify ? AskTwice(terminal) : Ask(terminal, "Password: ");
    }

    /// <summary>Says how long it is, and nothing more, so that no message ever holds it.</summary>
    public override string ToString() => $"a pass phrase of {_length} bytes";

    /// <summary>Wipes it.</summary>
    public void Dispose()
    {
        _length = 0;
        CryptographicOperations.ZeroMemory(_bytes);
    }

    private static Passphrase AskTwice(Terminal terminal)
    {
        Passphrase first = Ask(terminal, "Password: ");
        try
        {
            using Passphrase second = Ask(terminal, "Verify password: ");
            if (CryptographicOperations.FixedTimeEquals(first.Bytes, second.Bytes))
                return first;
            throw new CommandException("the two pass phrases differ");
        }
        catch
        {
            first.Dispose();
            throw;
        }
    }

    private static Passphrase Ask(Terminal terminal, string prompt) =>
        Fill("the terminal", bytes => terminal.ReadHidden(prompt, bytes));

    private static Passphrase Fill(string source, Func<byte[], int> read)
    {
        var passphrase = new Passphrase();
        try
        {
            int length = read(passphrase._bytes);
            if (length > MaxBytes)
                throw new CommandException($"the pass phrase from {source} is longer than {MaxBytes} bytes");
            int end = passphrase._bytes.AsSpan(0, length).IndexOf((byte)0);
            passphrase._length = end < 0 ? length : end;
            if (passphrase._length == 0)
                throw new CommandException($"the pass phrase from {source} is empty");
            return passphrase;
        }
        catch
        {
            passphrase.Dispose();
            throw;
        }
    }

    /// <summary>Whether a number is that of a descriptor from the parent process, and not of one of the runtime's own, among
    /// which /dev/urandom would make a key that nobody ever finds again. Those, unlike the former, are close-on-exec.</summary>
    private static bool IsInherited(int descriptor)
    {
        const string Label = "flags:";
        string information = $"/proc/self/fdinfo/{descriptor}";
        if (!File.Exists(information))
            return false;
        string octal = File.ReadLines(information).First(line => line.StartsWith(Label, StringComparison.Ordinal))[Label.Length..];
        return ((OpenFlags)Convert.ToInt32(octal.Trim(), 8) & OpenFlags.CloseOnExec) == 0;
    }

    /// <summary>Byte by byte: more would take from a pipe what is meant for another.</summary>
    private static int ReadLine(FileDescriptor descriptor, byte[] bytes)
    {
        int length = 0;
        while (length < bytes.Length)
        {
            Errno error = descriptor.Read(bytes.AsSpan(length, 1), out int count);
            if (error == Errno.EAGAIN)
                descriptor.WaitReadable(Timeout.InfiniteTimeSpan);
            if (error is Errno.EAGAIN or Errno.EINTR)
                continue;
            if (error != Errno.None)
                throw Unreadable(descriptor.Number, error);
            if (count == 0 || bytes[length] is (byte)'\n' or 0)
                break;
            length++;
        }
        return length;
    }

    private static CommandException Unreadable(int descriptor, Errno error) =>
        new($"cannot read the pass phrase from file descriptor {descriptor}: {error.Describe()}");
}
