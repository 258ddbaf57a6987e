using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using LoopDaemon.Linux;
using Serilog.Core;
using Serilog.Events;
using Serilog.Formatting.Display;

namespace LoopDaemon.Daemon;

/// <summary>Hands events to systemd's journal with their priority, and each property as a field of its own: what is named
/// BackingFile in a message is found by <c>journalctl LOOPD_BACKING_FILE=...</c>. (The protocol: systemd's document "Native
/// Journal Protocol", one datagram an entry.)</summary>
internal sealed class JournalSink : ILogEventSink, IDisposable
{
    private const string SocketPath = "/run/systemd/journal/socket";
    private const string StandardError = "/proc/self/fd/2";

    private static readonly MessageTemplateTextFormatter Text = new("{Message:lj}{NewLine}{Exception}", CultureInfo.InvariantCulture);

    private readonly Socket _socket;
    private readonly ILogEventSink _fallback;

    private JournalSink(Socket socket, ILogEventSink fallback)
    {
        _socket = socket;
        _fallback = fallback;
    }

    /// <summary>Connects to the journal, where standard error is connected to it as well (JOURNAL_STREAM of systemd.exec(5)): not
    /// where somebody has redirected it, and wants the log there.</summary>
    /// <param name="fallback">Where an event goes that the journal does not take.</param>
    /// <returns>Null where there is no journal.</returns>
    internal static JournalSink? Connect(ILogEventSink fallback)
    {
        if (FileStatus.Of(StandardError, out FileStatus status) != Errno.None
            || Environment.GetEnvironmentVariable("JOURNAL_STREAM") != string.Create(CultureInfo.InvariantCulture, $"{status.Device}:{status.Inode}"))
            return null;
        // Never waits: the journal may be written through this daemon.
        var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified) { Blocking = false };
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(SocketPath));
            return new JournalSink(socket, fallback);
        }
        catch (SocketException)
        {
            socket.Dispose();
            return null;
        }
    }

    public void Emit(LogEvent logEvent)
    {
        Errno error = DescriptorPassing.Send((int)_socket.Handle, Entry(logEvent), [], wait: false, out _);
        // Without room for it in the journal's queue it is lost; standard error, which the journal reads too, would wait.
        if (error is not (Errno.None or Errno.EAGAIN))
            _fallback.Emit(logEvent);
    }

    public void Dispose() => _socket.Dispose();

    /// <summary>The datagram for an event.</summary>
    internal static ReadOnlySpan<byte> Entry(LogEvent logEvent)
    {
        var entry = new ArrayBufferWriter<byte>(512);
        using var message = new StringWriter(CultureInfo.InvariantCulture);
        Text.Format(logEvent, message);
        Write(entry, "MESSAGE", message.ToString().TrimEnd());
        Write(entry, "PRIORITY", Priority(logEvent.Level));
        Write(entry, "SYSLOG_IDENTIFIER", "loopd");
        foreach ((string name, LogEventPropertyValue value) in logEvent.Properties)
        {
            if (value is ScalarValue { Value: { } scalar })
                Write(entry, FieldOf(name), Convert.ToString(scalar, CultureInfo.InvariantCulture) ?? "");
        }
        return entry.WrittenSpan;
    }

    /// <summary>Those of syslog(3).</summary>
    private static string Priority(LogEventLevel level) => level switch
    {
        LogEventLevel.Fatal => "2",
        LogEventLevel.Error => "3",
        LogEventLevel.Warning => "4",
        LogEventLevel.Information => "6",
        _ => "7",
    };

    /// <summary>BackingFile is LOOPD_BACKING_FILE: the journal takes capitals, digits and underscores.</summary>
    private static string FieldOf(string property)
    {
        var field = new StringBuilder("LOOPD_");
        for (int at = 0; at < property.Length; at++)
        {
            char letter = property[at];
            if (at > 0 && char.IsAsciiLetterUpper(letter) && !char.IsAsciiLetterUpper(property[at - 1]))
                field.Append('_');
            field.Append(char.IsAsciiLetterOrDigit(letter) ? char.ToUpperInvariant(letter) : '_');
        }
        return field.ToString();
    }

    /// <summary><c>FIELD=value</c> and a newline; or, for a value with a newline in it, the field, a newline, the value's length in
    /// bytes as 64 bits, little-endian, the value, and a newline.</summary>
    private static void Write(ArrayBufferWriter<byte> entry, string field, string value)
    {
        entry.Write(Encoding.ASCII.GetBytes(field));
        byte[] bytes = Encoding.UTF8.GetBytes(value);
        if (value.Contains('\n', StringComparison.Ordinal))
        {
            entry.Write("\n"u8);
            BinaryPrimitives.WriteInt64LittleEndian(entry.GetSpan(sizeof(long)), bytes.Length);
            entry.Advance(sizeof(long));
        }
        else
        {
            entry.Write("="u8);
        }
        entry.Write(bytes);
        entry.Write("\n"u8);
    }
}
