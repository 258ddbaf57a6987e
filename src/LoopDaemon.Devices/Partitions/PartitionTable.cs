using System.Numerics;
using LoopDaemon.Linux;
using LoopDaemon.Storage;

namespace LoopDaemon.Devices;

/// <summary>Reads the partition table of a device, as the kernel does for a loop device with LO_FLAGS_PARTSCAN.</summary>
/// <remarks>What counts as a table, and which numbers its partitions get, follows block/partitions/ of Linux 6.1 and later
/// (core.c, efi.c, msdos.c). Tables other than MBR and GPT are not read, nor those that BSD, Solaris, Minix and UnixWare
/// put inside a partition of an MBR.</remarks>
public static class PartitionTable
{
    /// <summary>The smallest logical sector, in bytes.</summary>
    internal const int MinSectorBytes = 512;

    /// <summary>The largest logical sector, in bytes.</summary>
    internal const int MaxSectorBytes = 4096;

    /// <summary>Reads the table. What is on the device, or cannot be read from it, raises no exception but is told in
    /// <see cref="PartitionScan.Warnings"/>.</summary>
    /// <param name="device">The device, read through its transfers: whole sectors into page-aligned memory.</param>
    /// <param name="sectorBytes">Its logical sector, in which both kinds of table count: a power of two from 512 to
    /// 4096 bytes.</param>
    /// <param name="deviceName">What the warnings call it, such as <c>loop0</c>.</param>
    /// <exception cref="ArgumentOutOfRangeException">The sector size is none.</exception>
    /// <exception cref="LinuxException">ENOMEM: there is no memory to read into.</exception>
    public static PartitionScan Read(BlockStore device, int sectorBytes, string deviceName)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentOutOfRangeException.ThrowIfLessThan(sectorBytes, MinSectorBytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(sectorBytes, MaxSectorBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(BitOperations.IsPow2(sectorBytes), true, nameof(sectorBytes));

        using var sectors = new SectorReader(device, sectorBytes);
        var found = new PartitionList(sectors, deviceName);
        PartitionScheme scheme = Scan(sectors, found);
        return new PartitionScan(scheme, found.InOrder(), found.Warnings);
    }

    private static PartitionScheme Scan(SectorReader device, PartitionList found)
    {
        if (device.SectorCount == 0)
            return PartitionScheme.None;
        Errno error = device.ReadSector(0, out ReadOnlySpan<byte> sector);
        if (error != Errno.None)
        {
            found.Warn($"cannot read the first sector of {found.DeviceName} for a partition table ({error.Name()})");
            return PartitionScheme.None;
        }
        if (!BootRecord.HasSignature(sector))
            return PartitionScheme.None;

        MbrEntry[] entries = BootRecord.ReadEntries(sector);
        if (Array.Exists(entries, entry => entry.IsProtective && entry.FirstSector == GuidPartitionTable.PrimarySector))
        {
            GuidPartitionTable.Read(device, found);
            return PartitionScheme.Gpt;
        }
        if (!BootRecord.IsTable(sector, entries))
            return PartitionScheme.None;
        if (Array.Exists(entries, entry => entry.IsProtective))
        {
            found.Warn($"the protective MBR of {found.DeviceName} is damaged: its entry of type 0xEE does not begin in sector 1, so neither it nor a GPT is used");
            return PartitionScheme.Gpt;
        }
        MasterBootRecord.Read(device, entries, found);
        return PartitionScheme.Mbr;
    }
}
