using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace LoopDaemon.CommandLine;

/// <summary>JSON of our own making, where losetup has no form to follow.</summary>
internal static class JsonLine
{
    /// <summary>An object.</summary>
    /// <param name="fill">Writes its members.</param>
    /// <param name="indented">Whether it is spread over lines, in losetup's way.</param>
    internal static string Of(Action<Utf8JsonWriter> fill, bool indented = false)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = indented, IndentSize = 3, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            fill(json);
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }
}
