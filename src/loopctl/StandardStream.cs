using System.Text;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary>Standard output or standard error. The console of .NET would set up a terminal for reading keys, by escape
/// sequences that nobody asked for, and a file stream keeps its own position in a file that others write to as well.</summary>
/// <param name="descriptor">The descriptor, which stays open as long as the process lives.</param>
/// <param name="isBuffered">Whether what is written is kept until <see cref="Flush"/>.</param>
internal sealed class StandardStream(int descriptor, bool isBuffered) : TextWriter
{
    private readonly FileDescriptor _descriptor = new(descriptor);
    private readonly StringBuilder _text = new();

    public override Encoding Encoding => Encoding.UTF8;

    public override void Write(char value) => Write(value.ToString());

    public override void Write(string? value)
    {
        _text.Append(value);
        if (!isBuffered)
            Flush();
    }

    public override void WriteLine(string? value) => Write(value + "\n");

    /// <exception cref="LinuxException">It cannot be written.</exception>
    public override void Flush()
    {
        byte[] bytes = Encoding.UTF8.GetBytes(_text.ToString());
        _text.Clear();
        for (int written = 0; written < bytes.Length;)
        {
            Errno error = _descriptor.Write(bytes.AsSpan(written), out int count);
            if (error is not (Errno.None or Errno.EINTR))
                throw LinuxException.WithMessage(error, $"write error: {error.Describe()}");
            written += count;
        }
    }
}
