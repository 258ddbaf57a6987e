using System.Text.Json.Serialization;

namespace LoopDaemon.Control;

// The parameters of calls and replies where these differ from the public types: descriptors are indices here, and a
// single value has a name, as Varlink asks for an object.

internal sealed record ConfigureCall(
    int? Device, int BackingFile, long Offset, long SizeLimit, bool ReadOnly, bool Autoclear,
    bool Partscan, bool DirectIo, PassthroughChoice? Passthrough, int SectorSize, string Reference, uint? Group, int? Mode, bool NoOverlap,
    IReadOnlyList<TransferCall> Transfers, bool AllowDiscards, string SectorsFrom);

internal sealed record TransferCall(string Name, IReadOnlyDictionary<string, string> Options, int? Key);

internal sealed record DeviceCall(int Device);

internal sealed record AddCall(int? Device);

internal sealed record SetStatusCall(
    int Device, bool? Autoclear, bool? Partscan, long? Offset, long? SizeLimit, string? Reference);

internal sealed record ChangeBackingFileCall(int Device, int BackingFile);

internal sealed record SetDirectIoCall(int Device, bool Enable);

internal sealed record SetSectorSizeCall(int Device, int SectorSize);

internal sealed record ShutdownCall(ShutdownMode Mode);

internal sealed record MonitorReply(DeviceEvent Event);

internal sealed record NoParameters;

internal sealed record ListReply(IReadOnlyList<DeviceStatus> Devices);

internal sealed record GetStatusReply(DeviceStatus Status);

internal sealed record ListTransfersReply(IReadOnlyList<TransferDescription> Transfers);

internal sealed record InterfaceDescription(string Description);

/// <summary>The parameters of every error of io.loopdaemon.Control.</summary>
internal sealed record ControlErrorParameters(string Errno, string Message);

/// <summary>Readers and writers of the wire's types, made at compile time: NativeAOT has no reflection to make them.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(ConfigureCall))]
[JsonSerializable(typeof(DeviceCall))]
[JsonSerializable(typeof(AddCall))]
[JsonSerializable(typeof(SetStatusCall))]
[JsonSerializable(typeof(ChangeBackingFileCall))]
[JsonSerializable(typeof(SetDirectIoCall))]
[JsonSerializable(typeof(SetSectorSizeCall))]
[JsonSerializable(typeof(ShutdownCall))]
[JsonSerializable(typeof(NoParameters))]
[JsonSerializable(typeof(ConfigureReply))]
[JsonSerializable(typeof(ClearReply))]
[JsonSerializable(typeof(GetFreeReply))]
[JsonSerializable(typeof(ListReply))]
[JsonSerializable(typeof(SizeReply))]
[JsonSerializable(typeof(DaemonStatus))]
[JsonSerializable(typeof(MonitorReply))]
[JsonSerializable(typeof(GetStatusReply))]
[JsonSerializable(typeof(ListTransfersReply))]
[JsonSerializable(typeof(ServiceInfo))]
[JsonSerializable(typeof(InterfaceDescription))]
[JsonSerializable(typeof(ControlErrorParameters))]
internal sealed partial class WireFormat : JsonSerializerContext;
