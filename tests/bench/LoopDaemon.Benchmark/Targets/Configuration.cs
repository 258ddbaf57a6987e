using LoopDaemon.Benchmark.Machine;

namespace LoopDaemon.Benchmark.Targets;

/// <summary>One way to show an image file as a block device, or as a file that serves as one.</summary>
/// <param name="id">Its name in options and in the raw data.</param>
/// <param name="title">Its name in the document.</param>
internal abstract class Configuration(string id, string title)
{
    internal string Id { get; } = id;

    internal string Title { get; } = title;

    /// <summary>The program to compare with that it stands for, or null if it is one of ours or the kernel's.</summary>
    internal virtual bool IsPeer => false;

    /// <summary>Whether it shows a file on a FUSE mount, on which a kernel loop device can be put.</summary>
    internal virtual bool IsFuse => true;

    /// <summary>Whether a file system on it is right when the kernel loop device in between has direct I/O on.</summary>
    internal virtual bool MountsDirectly => true;

    /// <summary>Why it cannot run here, or null.</summary>
    internal abstract string? Obstacle(Installation installation);

    /// <summary>The commands that make it, for the document.</summary>
    /// <param name="installation">What is installed.</param>
    /// <param name="direct">Whether the image is to be opened with O_DIRECT.</param>
    internal abstract string Describe(Installation installation, bool direct);

    /// <summary>Shows an image.</summary>
    /// <param name="image">The image's path.</param>
    /// <param name="direct">Whether the image is to be opened with O_DIRECT.</param>
    /// <param name="workspace">For mount points and sockets.</param>
    /// <param name="installation">What is installed.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="MeasurementException">It does not work.</exception>
    internal abstract Exposure Expose(string image, bool direct, Workspace workspace, Installation installation, CancellationToken cancellation);
}
