using LoopDaemon.Fuse;

namespace LoopDaemon.Daemon;

/// <summary>Node ids and handles follow from the device number and the partition alone, so that a daemon that takes over a
/// mount knows what the kernel speaks of. Node ids: 1 is the root, (number + 1) * 65536 + partition a device or its partition
/// (0: the whole). Handles: the node id, with a bit at the top for the way that its reads and writes go.</summary>
internal static class NodeNumbers
{
    /// <summary>The least node id of a device.</summary>
    internal const ulong FirstDevice = 1UL << PartitionBits;

    private const int PartitionBits = 16;
    private const ulong DirectIoBit = 1UL << 63, PassthroughBit = 1UL << 62;

    internal static ulong Of(int device, int partition = 0) => ((ulong)(device + 1) << PartitionBits) + (uint)partition;

    /// <summary>The device of a node, or -1.</summary>
    internal static long DeviceOf(ulong node) => node != FuseFileSystem.RootNode ? (long)(node >> PartitionBits) - 1 : -1;

    /// <summary>The partition of a node; 0 is the whole device.</summary>
    internal static int PartitionOf(ulong node) => (int)(node & (FirstDevice - 1));

    /// <summary>The handle of an open file.</summary>
    internal static ulong Handle(ulong node, OpenModes modes) => node
        | (modes.HasFlag(OpenModes.DirectIo) ? DirectIoBit : 0) | (modes.HasFlag(OpenModes.Passthrough) ? PassthroughBit : 0);

    /// <summary>Which way the reads and writes of a handle's file go.</summary>
    internal static OpenModes ModesOf(ulong handle) =>
        ((handle & DirectIoBit) != 0 ? OpenModes.DirectIo : 0) | ((handle & PassthroughBit) != 0 ? OpenModes.Passthrough : 0);
}
