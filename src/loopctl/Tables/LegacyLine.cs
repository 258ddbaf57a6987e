using System.Globalization;
using System.Text;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary>The line of losetup -a: <c>NAME: [device]:inode (file), offset N, sizelimit N, encryption NAME (type N)</c>.</summary>
internal static class LegacyLine
{
    /// <summary>LO_CRYPT_CRYPTOAPI: what the kernel knew by a name alone.</summary>
    private const int CryptoApi = 18;

    /// <summary>Makes the line.</summary>
    /// <param name="device">The device.</param>
    /// <param name="transfers">The transfers that the daemon knows, for their numbers.</param>
    internal static string Of(DeviceStatus device, IReadOnlyList<TransferDescription> transfers)
    {
        var line = new StringBuilder();
        line.Append(CultureInfo.InvariantCulture, $"{device.Path}: [{FileStatus.PackDevice(device.BackingDevice.Major, device.BackingDevice.Minor):D4}]:{device.BackingInode} ({device.BackingFile})");
        if (device.Offset > 0)
            line.Append(CultureInfo.InvariantCulture, $", offset {device.Offset}");
        if (device.SizeLimit > 0)
            line.Append(CultureInfo.InvariantCulture, $", sizelimit {device.SizeLimit}");
        if (device.Transfers.Count == 0)
            return line.ToString();
        int type = NumberOf(device.Transfers[0], transfers);
        // The kernel had no name for its own XOR, and losetup's is in capitals.
        string name = type == 1 && device.Transfers.Count == 1 ? "XOR" : string.Join('+', device.Transfers);
        if (type != 0 || device.Transfers.Count > 1)
            line.Append(CultureInfo.InvariantCulture, $", encryption {name} (type {type})");
        return line.ToString();
    }

    private static int NumberOf(string transfer, IReadOnlyList<TransferDescription> transfers) =>
        transfers.FirstOrDefault(known => known.Name == transfer)?.Number ?? CryptoApi;
}
