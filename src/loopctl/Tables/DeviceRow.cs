using LoopDaemon.Control;

namespace LoopDaemon.CommandLine;

/// <summary>A device in a list.</summary>
/// <param name="Number">Its number.</param>
/// <param name="Path">The path of its block file.</param>
/// <param name="Status">What it is bound to, or null where it is not bound.</param>
internal sealed record DeviceRow(int Number, string Path, DeviceStatus? Status)
{
    internal DeviceRow(DeviceStatus status) : this(status.Device, status.Path, status)
    {
    }
}
