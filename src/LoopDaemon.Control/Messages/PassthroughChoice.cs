using System.Text.Json.Serialization;

namespace LoopDaemon.Control;

/// <summary>Whether the kernel may read and write a device's backing file itself (FUSE passthrough).</summary>
[JsonConverter(typeof(JsonStringEnumConverter<PassthroughChoice>))]
public enum PassthroughChoice
{
    /// <summary>Where the device is nothing but its backing file, and the kernel can.</summary>
    [JsonStringEnumMemberName("auto")] Auto,
    /// <summary>It must be possible, or the device is not bound.</summary>
    [JsonStringEnumMemberName("on")] On,
    /// <summary>Never.</summary>
    [JsonStringEnumMemberName("off")] Off,
}
