namespace LoopDaemon.Fuse.Wire;

/// <summary>The flags of INIT that this library knows; bits 32 and up travel in <c>flags2</c>.</summary>
[Flags]
internal enum InitFlags : ulong
{
    AsyncRead = 1UL << 0,
    AtomicOpenTruncate = 1UL << 3,
    BigWrites = 1UL << 5,
    DoReadDirPlus = 1UL << 13,
    ReadDirPlusAuto = 1UL << 14,
    AsyncDirectIo = 1UL << 15,
    ParallelDirectoryOperations = 1UL << 18,
    MaxPages = 1UL << 22,
    InitExtended = 1UL << 30,
    DirectIoAllowMmap = 1UL << 36,
    Passthrough = 1UL << 37,
    HasResend = 1UL << 39,
    OverIoUring = 1UL << 41,
}
