namespace LoopDaemon.Devices;

/// <summary>The kind of partition table that a device has, intact or not.</summary>
public enum PartitionScheme
{
    /// <summary>None.</summary>
    None,
    /// <summary>A master boot record (MBR), also called a DOS or PC partition table.</summary>
    Mbr,
    /// <summary>A GUID partition table (GPT), behind a protective or hybrid MBR.</summary>
    Gpt,
}
