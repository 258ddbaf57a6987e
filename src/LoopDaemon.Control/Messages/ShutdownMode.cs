using System.Text.Json.Serialization;

namespace LoopDaemon.Control;

/// <summary>What a shutdown does about devices that are open.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ShutdownMode>))]
public enum ShutdownMode
{
    /// <summary>Nothing happens, and the error names who holds them.</summary>
    [JsonStringEnumMemberName("refuse")] Refuse,
    /// <summary>They are served to their last close, out of sight; then the daemon ends.</summary>
    [JsonStringEnumMemberName("lazy")] Lazy,
    /// <summary>They are taken away: whoever has them open gets errors from now on.</summary>
    [JsonStringEnumMemberName("force")] Force,
}
