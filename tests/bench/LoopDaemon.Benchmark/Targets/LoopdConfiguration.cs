using LoopDaemon.Benchmark.Machine;

namespace LoopDaemon.Benchmark.Targets;

/// <summary>Our daemon, with one device bound by loopctl.</summary>
/// <param name="id">Its name in options and in the raw data.</param>
/// <param name="title">Its name in the document.</param>
/// <param name="engine">How the daemon takes requests from the kernel: threads or uring.</param>
/// <param name="passthrough">Whether the kernel serves the device from the image itself, once it is open.</param>
/// <param name="stages">How many XOR transfers the data passes.</param>
internal sealed class LoopdConfiguration(string id, string title, string engine, bool passthrough, int stages) : Configuration(id, title)
{
    internal const string Threads = "threads";
    internal const string Uring = "uring";

    internal override string? Obstacle(Installation installation)
    {
        if (passthrough)
            return installation.LoopdKnows("--passthrough") ? null : "this loopd has no option --passthrough";
        if (engine != Uring)
            return null;
        return installation.LoopdKnows("--engine") ? installation.UringObstacle : "this loopd has no option --engine";
    }

    internal override string Describe(Installation installation, bool direct) =>
        $"{string.Join(' ', DaemonOptions(installation).Prepend("loopd"))}; loopctl {string.Join(' ', BindOptions(direct, stage => $"KEY{stage}"))} IMAGE";

    internal override Exposure Expose(string image, bool direct, Workspace workspace, Installation installation, CancellationToken cancellation)
    {
        LoopdProcess loopd = Start(workspace, installation, [], cancellation);
        try
        {
            string path = Bind(loopd, image, direct, workspace, cancellation);
            return new Exposure(path, loopd.Process);
        }
        catch
        {
            loopd.Dispose();
            throw;
        }
    }

    /// <summary>Starts the daemon, with nothing bound yet.</summary>
    internal LoopdProcess Start(Workspace workspace, Installation installation, IEnumerable<string> moreOptions, CancellationToken cancellation) =>
        LoopdProcess.Start(installation, workspace, DaemonOptions(installation).Concat(moreOptions), cancellation);

    /// <summary>Binds a device of this kind.</summary>
    /// <returns>Its path.</returns>
    internal string Bind(LoopdProcess loopd, string image, bool direct, Workspace workspace, CancellationToken cancellation) =>
        loopd.Bind(BindOptions(direct, _ => LoopdProcess.MakeKey(workspace)).Append(image), cancellation);

    /// <summary>The options of loopctl. Each stage has a key of its own: two of one key would undo each other.</summary>
    private IEnumerable<string> BindOptions(bool direct, Func<int, string> key)
    {
        // With passthrough it is for whoever opens the device to choose: his O_DIRECT reaches the image.
        string[] binding = direct && !passthrough ? ["-f", "--show", "--direct-io=on"] : ["-f", "--show"];
        return binding.Concat(Enumerable.Range(1, stages).SelectMany(stage => (string[])["-e", $"xor:key-file={key(stage)}"]));
    }

    /// <summary>Each option is given where this loopd has it; one that has not does what they ask for anyway.</summary>
    private List<string> DaemonOptions(Installation installation)
    {
        var options = new List<string>();
        if (installation.LoopdKnows("--engine"))
            options.AddRange(["--engine", engine]);
        if (installation.LoopdKnows("--passthrough"))
            options.AddRange(["--passthrough", passthrough ? "on" : "off"]);
        return options;
    }
}
