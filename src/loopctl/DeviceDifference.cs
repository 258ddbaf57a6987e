using System.Globalization;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary>Tells whether a bound device is what a request asks for. Keys cannot be compared, as the daemon gives none away;
/// and passthrough is a matter of what can be.</summary>
internal static class DeviceDifference
{
    private const int OwnerOnly = 0b110_000_000;

    /// <summary>In what a device differs from what is asked for.</summary>
    /// <param name="device">The device.</param>
    /// <param name="wanted">What is asked for; its keys are not looked at.</param>
    /// <param name="client">The daemon, which knows the transfers' names and numbers.</param>
    /// <returns>What the device is like and what it should be like, or null where it is that.</returns>
    internal static string? Of(DeviceStatus device, ConfigureRequest wanted, ControlClient client)
    {
        if (!IsBoundTo(device, wanted.BackingFile))
            return $"backing file {device.BackingFile} instead of {wanted.BackingFile.DescribePath()}";
        uint group = wanted.Group ?? Credentials.GroupId;
        int mode = wanted.Mode ?? OwnerOnly;
        List<string> differences = [];
        void compare<T>(T have, T want, Func<T, string> describe) where T : IEquatable<T>
        {
            if (!have.Equals(want))
                differences.Add($"{describe(have)} instead of {describe(want)}");
        }
        compare(device.Offset, wanted.Offset, bytes => $"offset {bytes}");
        compare(device.SizeLimit, wanted.SizeLimit, bytes => bytes == 0 ? "no size limit" : $"size limit {bytes}");
        compare(device.ReadOnly, wanted.ReadOnly, readOnly => readOnly ? "read-only" : "read-write");
        if (!device.Transfers.SequenceEqual(wanted.Transfers.Select(transfer => transfer.Name)))
            compare(Pipeline(device.Transfers), Pipeline(Registered(wanted.Transfers, client)), names => $"transfers {names}");
        compare(device.SectorsFromOffset, wanted.SectorsFromOffset, offset => $"sectors counted from the {(offset ? "offset" : "file")}");
        compare(device.AllowDiscards, wanted.AllowDiscards, allowed => allowed ? "discards allowed" : "discards not allowed");
        compare(device.SectorSize, wanted.SectorSize, bytes => $"sector size {bytes}");
        compare(device.Partscan, wanted.Partscan, scan => scan ? "partscan" : "no partscan");
        if (device.DirectIo != wanted.DirectIo && (device.DirectIo || TakesDirectIo(wanted.BackingFile)))
            compare(device.DirectIo, wanted.DirectIo, direct => $"direct-io={(direct ? "on" : "off")}");
        compare(device.Owner, Credentials.UserId, number => $"owner {number}");
        compare(device.Group, group, number => $"group {number}");
        compare(device.Mode, mode, bits => $"mode 0{Convert.ToString(bits, 8)}");
        compare(device.Reference, wanted.Reference, text => $"reference '{text}'");
        compare(device.Autoclear, wanted.Autoclear, autoclear => autoclear ? "autoclear" : "no autoclear");
        return differences.Count == 0 ? null : string.Join("; ", differences);
    }

    /// <summary>Whether a device is bound to this very file.</summary>
    internal static bool IsBoundTo(DeviceStatus device, FileDescriptor file) =>
        file.GetStatus(out FileStatus status) == Errno.None
        && device.BackingInode == status.Inode && device.BackingDevice == new DeviceNumber(status.DeviceMajor, status.DeviceMinor);

    private static string Pipeline(IEnumerable<string> names) => string.Join(", ", names) is { Length: > 0 } text ? text : "none";

    /// <summary>The names under which the daemon has registered transfers that may be named by number.</summary>
    private static IEnumerable<string> Registered(IReadOnlyList<TransferRequest> transfers, ControlClient client)
    {
        IReadOnlyList<TransferDescription> known = client.ListTransfers();
        return [.. transfers.Select(transfer => known.FirstOrDefault(one =>
            one.Name.Equals(transfer.Name, StringComparison.OrdinalIgnoreCase)
            || one.Number?.ToString(CultureInfo.InvariantCulture) == transfer.Name)?.Name ?? transfer.Name)];
    }

    /// <summary>Where the file system refuses direct I/O, a device is bound without.</summary>
    private static bool TakesDirectIo(FileDescriptor file)
    {
        bool takes = file.TryReopen(OpenFlags.ReadOnly | FileDescriptor.Direct, out FileDescriptor? direct) == Errno.None;
        direct?.Dispose();
        return takes;
    }
}
