using System.Text.Json;
using System.Text.Json.Serialization;
using LoopDaemon.Benchmark.Jobs;

namespace LoopDaemon.Benchmark.Results;

/// <summary>All that a run found out: the document and the charts are made from this alone.</summary>
internal sealed record BenchmarkResults(RunDescription Run)
{
    private static readonly JsonSerializerOptions Format = new()
    {
        WriteIndented = true,
        Converters = { new JsonStringEnumConverter() },
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Where was measured, in the document's order.</summary>
    public List<PlaceDescription> Places { get; init; } = [];

    public List<ThroughputSample> Throughput { get; init; } = [];

    public List<FileSystemSample> FileSystem { get; init; } = [];

    public List<FlatSample> Flat { get; init; } = [];

    public List<BindTimes> Binding { get; init; } = [];

    /// <summary>What was not measured.</summary>
    public List<Omission> Omissions { get; init; } = [];

    internal void Save(string path) => File.WriteAllText(path, JsonSerializer.Serialize(this, Format) + "\n");

    /// <exception cref="JsonException">The file holds something else.</exception>
    internal static BenchmarkResults Load(string path) =>
        JsonSerializer.Deserialize<BenchmarkResults>(File.ReadAllText(path), Format) ?? throw new JsonException("the file is empty");
}

/// <summary>When, where, with what and how was measured.</summary>
/// <param name="Started">When.</param>
/// <param name="Duration">For how long.</param>
/// <param name="Command">The command line.</param>
/// <param name="Rounds">How many rounds.</param>
/// <param name="SecondsPerJob">How long a timed fio job runs.</param>
/// <param name="ImageBytes">The size of an image.</param>
/// <param name="TreeFiles">How many files the tree of the real job has.</param>
/// <param name="TreeBytes">How much they hold.</param>
/// <param name="Machine">Properties of the machine and versions of the programs, as the document lists them.</param>
internal sealed record RunDescription(
    DateTimeOffset Started, TimeSpan Duration, string Command, int Rounds, double SecondsPerJob, long ImageBytes, int TreeFiles,
    long TreeBytes, IReadOnlyList<MachineProperty> Machine);

/// <summary>One line of the machine's description.</summary>
internal sealed record MachineProperty(string Name, string Value);

/// <summary>A place of the images, and the commands that were run there.</summary>
/// <param name="Id">memory or disk.</param>
/// <param name="FileSystem">The file system's type.</param>
/// <param name="Commands">How each configuration was made, by its id.</param>
internal sealed record PlaceDescription(string Id, string FileSystem, IReadOnlyDictionary<string, string> Commands);

/// <summary>One run of one fio job.</summary>
internal sealed record ThroughputSample(
    string Place, string Target, string Job, int Round, long Bytes, double BytesPerSecond, double OperationsPerSecond, Cost Cost);

/// <summary>One run of the real job.</summary>
internal sealed record FileSystemSample(string Place, string Target, int Round, FileSystemTimes Times, Cost Cost);

/// <summary>One run of a fio job on one device among many, or on a huge backing file.</summary>
internal sealed record FlatSample(string Configuration, string Variant, string Job, int Round, double OperationsPerSecond);

/// <summary>How long it took to bind devices one after another, in milliseconds.</summary>
internal sealed record BindTimes(int Devices, double First, double MedianOfFirstTen, double MedianOfLastTen);

/// <summary>Something that was not measured.</summary>
/// <param name="What">What.</param>
/// <param name="Reason">Why.</param>
internal sealed record Omission(string What, string Reason);
