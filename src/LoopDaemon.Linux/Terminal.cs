using System.Runtime.InteropServices;
using System.Text;

namespace LoopDaemon.Linux;

/// <summary>The terminal that this process is controlled from (<c>/dev/tty</c>, tty(4)), whatever its standard input and
/// output are.</summary>
public sealed class Terminal : IDisposable
{
    private readonly FileDescriptor _tty;

    private Terminal(FileDescriptor tty) => _tty = tty;

    /// <summary>Opens it.</summary>
    /// <param name="terminal">The terminal, or null on error.</param>
    /// <returns>ENXIO where the process has none, as a service has.</returns>
    public static Errno TryOpen(out Terminal? terminal)
    {
        Errno error = FileDescriptor.TryOpen("/dev/tty", OpenFlags.ReadWrite, out FileDescriptor? tty);
        terminal = tty is null ? null : new Terminal(tty);
        return error;
    }

    /// <summary>Asks for a line that is not shown while it is typed. What was typed ahead is thrown away, and so is what of
    /// the line does not fit. The terminal shows again what is typed when this returns, and when a signal ends the process
    /// before; Ctrl-Z does not stop it meanwhile.</summary>
    /// <param name="prompt">What to ask.</param>
    /// <param name="line">Where the bytes go, which the caller wipes.</param>
    /// <returns>How many they are, without the newline; all of <paramref name="line"/> where the line is at least that
    /// long.</returns>
    /// <exception cref="LinuxException">The terminal was hung up (EIO), or cannot be used for another reason.</exception>
    public int ReadHidden(string prompt, Span<byte> line)
    {
        using var hidden = new HiddenPrompt(_tty, prompt);
        int length = 0;
        while (length < line.Length)
        {
            Errno error = _tty.Read(line[length..], out int count);
            if (error == Errno.EINTR)
                continue;
            if (error != Errno.None)
                throw new LinuxException(error, "cannot read from the terminal");
            // A terminal gives no more than one line, its newline last, and nothing at the end of input (Ctrl-D).
            if (count == 0)
                break;
            length += count;
            if (line[length - 1] == (byte)'\n')
                return length - 1;
        }
        return length;
    }

    /// <inheritdoc/>
    public void Dispose() => _tty.Dispose();

    /// <summary>A prompt behind which nothing is echoed (termios(3)) until this is disposed or a signal ends the process.</summary>
    private sealed class HiddenPrompt : IDisposable
    {
        private const uint Echo = 8;

        private readonly Lock _lock = new();
        private readonly FileDescriptor _tty;
        private readonly byte[] _prompt;
        private readonly Libc.Termios _before;
        private readonly PosixSignalRegistration[] _signals;
        private bool _ended;

        internal unsafe HiddenPrompt(FileDescriptor tty, string prompt)
        {
            _tty = tty;
            _prompt = Encoding.UTF8.GetBytes(prompt);
            fixed (Libc.Termios* before = &_before)
            {
                if (Libc.tcgetattr(tty.Number, before) < 0)
                    throw Refused(LastError.Get());
            }
            _signals =
            [
                // After the handler the runtime does what the signal does without one: it ends the process.
                .. new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP, PosixSignal.SIGQUIT }
                    .Select(fatal => PosixSignalRegistration.Create(fatal, _ => End())),
                PosixSignalRegistration.Create(PosixSignal.SIGTSTP, AskAgain),
            ];
            Errno error = Begin();
            if (error == Errno.None)
                return;
            Dispose();
            throw Refused(error);
        }

        public void Dispose()
        {
            End();
            foreach (PosixSignalRegistration signal in _signals)
                signal.Dispose();
        }

        private static LinuxException Refused(Errno error) => new(error, "cannot turn off the terminal's echo");

        private Errno Begin()
        {
            Libc.Termios hidden = _before;
            hidden.LocalModes &= ~Echo;
            lock (_lock)
            {
                if (_ended)
                    return Errno.None;
                Errno error = Set(in hidden);
                return error == Errno.None ? _tty.Write(_prompt, out _) : error;
            }
        }

        /// <summary>Ctrl-Z has made the terminal forget what was typed so far.</summary>
        private void AskAgain(PosixSignalContext stop)
        {
            stop.Cancel = true;
            lock (_lock)
            {
                if (!_ended)
                    _tty.Write([(byte)'\n', .. _prompt], out _);
            }
        }

        private void End()
        {
            lock (_lock)
            {
                if (_ended)
                    return;
                _ended = true;
                // It fails where the terminal was hung up: then nothing is left to restore.
                _ = Set(in _before);
                // The newline that ended the line was not shown either.
                _tty.Write("\n"u8, out _);
            }
        }

        private unsafe Errno Set(in Libc.Termios attributes)
        {
            // Throws unread input away, so that the rest of a pass phrase does not become the shell's next command.
            const int AfterOutputAndFlush = 2;
            fixed (Libc.Termios* pointer = &attributes)
                return Libc.tcsetattr(_tty.Number, AfterOutputAndFlush, pointer) < 0 ? LastError.Get() : Errno.None;
        }
    }
}
