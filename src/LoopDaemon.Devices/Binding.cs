using LoopDaemon.Linux;
using LoopDaemon.Storage;
using LoopDaemon.Transfers;

namespace LoopDaemon.Devices;

/// <summary>What a device is bound to; fixed from bind to clear.</summary>
public sealed class Binding : IDisposable
{
    private const int SectorBytes = 512;

    private Binding(BlockStore store, BindRequest request, string backingPath, in FileStatus backing, IReadOnlyList<string> warnings)
    {
        Store = store;
        OffsetBytes = request.OffsetBytes;
        SizeLimitBytes = request.SizeLimitBytes;
        IsReadOnly = request.IsReadOnly || store.IsReadOnly;
        TransferNames = [.. request.Transfers.Select(transfer => transfer.Name)];
        OwnerUid = request.OwnerUid;
        OwnerGid = request.OwnerGid;
        BackingPath = backingPath;
        Backing = backing;
        Warnings = warnings;
    }

    /// <summary>The top of the stack of stores.</summary>
    public BlockStore Store { get; }

    /// <summary>Where the device begins in the backing file, in bytes.</summary>
    public long OffsetBytes { get; }

    /// <summary>The greatest size asked for in bytes; 0 is none.</summary>
    public long SizeLimitBytes { get; }

    /// <summary>Whether writes are refused.</summary>
    public bool IsReadOnly { get; }

    /// <summary>The pipeline's transfers by name; the first is nearest the user's data.</summary>
    public IReadOnlyList<string> TransferNames { get; }

    /// <summary>The user the device belongs to.</summary>
    public uint OwnerUid { get; }

    /// <summary>The owner's group.</summary>
    public uint OwnerGid { get; }

    /// <summary>The backing file's path when it was bound.</summary>
    public string BackingPath { get; }

    /// <summary>The backing file's status when it was bound.</summary>
    public FileStatus Backing { get; }

    /// <summary>What the binder should know although the bind succeeded, a sentence each.</summary>
    public IReadOnlyList<string> Warnings { get; }

    /// <summary>When it was bound, in nanoseconds since 1970.</summary>
    public long BoundAtNs { get; } = (DateTime.UtcNow - DateTime.UnixEpoch).Ticks * 100;

    /// <inheritdoc/>
    public void Dispose() => Store.Dispose();

    /// <summary>Checks a request and stacks the stores it asks for.</summary>
    /// <exception cref="LinuxException">The backing file, offset or size limit will not do.</exception>
    /// <exception cref="TransferException">A transfer or its key will not do.</exception>
    internal static Binding Create(BindRequest request, TransferRegistry registry)
    {
        string path = request.BackingFile.DescribePath();
        var file = FileStore.Open(request.BackingFile);
        var transfers = new List<ITransfer>();
        try
        {
            if (request.BackingFile.GetStatus(out FileStatus status) is var error and not Errno.None)
                throw new LinuxException(error, $"cannot look at {path}");
            foreach (TransferSpec spec in request.Transfers)
                transfers.Add(registry.Create(spec));
            CheckRange(request, path, file.Length, transfers);
            var warnings = new List<string>();
            BlockStore store = new WindowStore(file, request.OffsetBytes, request.SizeLimitBytes);
            Warn(warnings, path, request.OffsetBytes, file.Length - request.OffsetBytes, request.SizeLimitBytes, store.Length);
            ulong firstSector = request.SectorsFromOffset ? 0 : (ulong)(request.OffsetBytes / SectorBytes);
            store = TransferStore.Over(store, transfers, firstSector, request.AllowDiscards);
            return new Binding(store, request, path, in status, warnings);
        }
        catch
        {
            transfers.ForEach(transfer => transfer.Dispose());
            file.Dispose();
            throw;
        }
    }

    private static void CheckRange(BindRequest request, string path, long backingBytes, List<ITransfer> transfers)
    {
        if (request.OffsetBytes < 0 || request.SizeLimitBytes < 0)
            throw LinuxException.WithMessage(Errno.EOVERFLOW, $"{path}: offset and size limit must not be negative");
        if (request.OffsetBytes > 0 && request.OffsetBytes >= backingBytes)
            throw LinuxException.WithMessage(Errno.EINVAL,
                $"{path}: offset {request.OffsetBytes} is past the end of the file ({backingBytes} bytes)");
        ITransfer? keyed = transfers.Find(transfer => !transfer.IsIdentity);
        // Kernels disagreed with each other on where a sector begins then (linux 2.6 loop.c), so no image can rely on it.
        if (keyed is not null && request.OffsetBytes % SectorBytes != 0)
            throw LinuxException.WithMessage(Errno.EINVAL,
                $"{path}: offset {request.OffsetBytes} is not a multiple of {SectorBytes}, which transfer {keyed.Name} needs");
    }

    private static void Warn(List<string> warnings, string path, long offset, long backingBytes, long sizeLimit, long capacity)
    {
        if (backingBytes < SectorBytes)
            warnings.Add($"{path}: file is smaller than {SectorBytes} bytes{(offset > 0 ? $" behind the offset {offset}" : "")}; the device has capacity 0");
        else if (sizeLimit is > 0 and < SectorBytes)
            warnings.Add($"{path}: size limit {sizeLimit} is smaller than {SectorBytes} bytes; the device has capacity 0");
        else if (sizeLimit == 0 && backingBytes != capacity)
            warnings.Add($"{path}: file does not end on a {SectorBytes}-byte sector; its last {backingBytes - capacity} bytes are not part of the device");
    }
}
