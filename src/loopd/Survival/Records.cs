using System.Text.Json;
using System.Text.Json.Serialization;
using LoopDaemon.Devices;
using LoopDaemon.Fuse;
using LoopDaemon.Linux;
using LoopDaemon.Transfers;

namespace LoopDaemon.Daemon.Survival;

/// <summary>What the next daemon must know of this one's mount.</summary>
internal sealed record DaemonRecord
{
    /// <summary>The layout of all that is kept: records, request slots, the ledger of open files. A change that an older daemon
    /// would misunderstand takes the next number; a field that may be missing does not.</summary>
    internal const int CurrentVersion = 1;

    public required int Version { get; init; }

    /// <summary>The version of the program that wrote it.</summary>
    public required string Program { get; init; }

    public required string MountPoint { get; init; }

    /// <summary>Whether the mount point goes with the mount.</summary>
    public required bool OwnsMountPoint { get; init; }

    /// <summary>What INIT settled; null before it was answered.</summary>
    public FuseNegotiation? Negotiation { get; init; }

    /// <summary>Reads a record.</summary>
    /// <exception cref="LinuxException">It cannot be understood.</exception>
    internal static DaemonRecord Parse(byte[]? bytes)
    {
        int version = 0;
        string program = "";
        try
        {
            using JsonDocument document = JsonDocument.Parse(bytes ?? [(byte)'0']);
            version = document.RootElement.GetProperty(nameof(Version)).GetInt32();
            program = document.RootElement.GetProperty(nameof(Program)).GetString() ?? "";
            if (version == CurrentVersion)
                return document.Deserialize(RecordJson.Default.DaemonRecord)!;
        }
        catch (Exception damaged) when (damaged is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw LinuxException.WithMessage(Errno.EPROTO, $"the stored state is none of a loopd's: {damaged.Message}");
        }
        throw LinuxException.WithMessage(Errno.EPROTO,
            $"the stored state is of version {version}, written by loopd {program}; this program understands version {CurrentVersion} only");
    }

    internal byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, RecordJson.Default.DaemonRecord);
}

/// <summary>What the next daemon must know of a device.</summary>
internal sealed record DeviceRecord
{
    /// <summary>The name of the backing file's descriptor in the store; null where the device is not bound, only there.</summary>
    public string? File { get; init; }

    public string BackingPath { get; init; } = "";
    public long BackingBytes { get; init; }
    public long Offset { get; init; }
    public long SizeLimit { get; init; }
    public bool ReadOnly { get; init; }
    public bool Autoclear { get; init; }
    public bool Partscan { get; init; }
    public bool DirectIo { get; init; }
    public Passthrough Passthrough { get; init; }
    public int SectorBytes { get; init; }
    public string Reference { get; init; } = "";
    public bool AllowDiscards { get; init; }
    public bool SectorsFromOffset { get; init; }
    public uint Uid { get; init; }
    public uint Gid { get; init; }
    public uint Permissions { get; init; }
    public long BoundAtNs { get; init; }
    public IReadOnlyList<Partition> Partitions { get; init; } = [];
    public DeviceStatistics Statistics { get; init; }
    public IReadOnlyList<TransferRecord> Transfers { get; init; } = [];

    /// <summary>Notes what a device is now.</summary>
    /// <param name="device">The device.</param>
    /// <param name="binding">What it is bound to.</param>
    /// <param name="file">The name of the backing file's descriptor in the store.</param>
    /// <param name="transfers">The pipeline, which does not change while the device is bound.</param>
    internal static DeviceRecord Of(LoopDevice device, Binding binding, string file, IReadOnlyList<TransferRecord> transfers)
    {
        BindingStatus status = binding.Status;
        return new DeviceRecord
        {
            File = file,
            BackingPath = status.BackingPath,
            BackingBytes = binding.BackingBytes,
            Offset = status.OffsetBytes,
            SizeLimit = status.SizeLimitBytes,
            ReadOnly = binding.IsReadOnly,
            Autoclear = device.IsAutoclear,
            Partscan = status.Partscan,
            DirectIo = binding.UsesDirectIo,
            Passthrough = binding.Passthrough,
            SectorBytes = status.SectorBytes,
            Reference = status.Reference,
            AllowDiscards = binding.AllowsDiscards,
            SectorsFromOffset = binding.SectorsFromOffset,
            Uid = binding.OwnerUid,
            Gid = binding.OwnerGid,
            Permissions = binding.Permissions,
            BoundAtNs = binding.BoundAtNs,
            Partitions = [.. binding.Partitions.Select(partition => new Partition(partition.Number, partition.OffsetBytes, partition.LengthBytes))],
            Statistics = device.Statistics,
            Transfers = transfers,
        };
    }

    /// <summary>Reads a record.</summary>
    /// <exception cref="JsonException">It is none.</exception>
    internal static DeviceRecord Parse(byte[] bytes) => JsonSerializer.Deserialize(bytes, RecordJson.Default.DeviceRecord)!;

    internal byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, RecordJson.Default.DeviceRecord);

    /// <summary>The bind that makes the device again; the keys in it are the caller's to wipe.</summary>
    internal BindRequest ToRequest(FileDescriptor backingFile) => new()
    {
        BackingFile = backingFile,
        OffsetBytes = Offset,
        SizeLimitBytes = SizeLimit,
        IsReadOnly = ReadOnly,
        Autoclear = Autoclear,
        Partscan = Partscan,
        DirectIo = DirectIo,
        Passthrough = Passthrough,
        SectorBytes = SectorBytes,
        Reference = Reference,
        AllowDiscards = AllowDiscards,
        SectorsFromOffset = SectorsFromOffset,
        OwnerUid = Uid,
        OwnerGid = Gid,
        Permissions = Permissions,
        Transfers = [.. Transfers.Select(transfer => transfer.ToSpec())],
    };

    internal BoundState ToState() => new(BackingPath, BackingBytes, BoundAtNs, Partitions, Statistics);
}

/// <summary>A transfer of a pipeline, with its key.</summary>
internal sealed record TransferRecord(string Name, IReadOnlyDictionary<string, string> Options, byte[]? Key)
{
    internal static TransferRecord Of(TransferSpec spec) => new(spec.Name, spec.Options, spec.Key?.Bytes.ToArray());

    internal TransferSpec ToSpec() => new(Name, Options, Key is null ? null : new SecretKey(Key));
}

[JsonSerializable(typeof(DaemonRecord))]
[JsonSerializable(typeof(DeviceRecord))]
internal sealed partial class RecordJson : JsonSerializerContext;
