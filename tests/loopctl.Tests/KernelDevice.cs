using System.Globalization;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine.Tests;

/// <summary>A device of the kernel's own driver, attached by losetup, and its status as if a daemon of ours had it.
/// Disposing it detaches it.</summary>
internal sealed class KernelDevice : IDisposable
{
    private KernelDevice(string path, string file)
    {
        Path = path;
        File = file;
    }

    internal string Path { get; }

    /// <summary>The backing file.</summary>
    internal string File { get; }

    internal int Number => int.Parse(Path["/dev/loop".Length..], CultureInfo.InvariantCulture);

    /// <summary>What the kernel says of it.</summary>
    internal DeviceStatus Status
    {
        get
        {
            Assert.Equal(Errno.None, FileStatus.Of(File, out FileStatus file));
            return new DeviceStatus
            {
                Device = Number,
                Path = Path,
                BackingFile = Read("loop/backing_file"),
                BackingDevice = new DeviceNumber(file.DeviceMajor, file.DeviceMinor),
                BackingInode = file.Inode,
                Offset = ReadNumber("loop/offset"),
                SizeLimit = ReadNumber("loop/sizelimit"),
                Size = ReadNumber("size") * 512,
                ReadOnly = IsReadOnly,
                Autoclear = Read("loop/autoclear") == "1",
                DirectIo = Read("loop/dio") == "1",
                SectorSize = (int)ReadNumber("queue/logical_block_size"),
                Partscan = Read("loop/partscan") == "1",
                Partitions = [],
                Reference = "",
                Transfers = [],
                AllowDiscards = false,
                SectorsFromOffset = false,
                Owner = 0,
                Group = 0,
                Mode = 0,
                BoundAt = 0,
                Openers = 0,
                Traffic = new TrafficStatus(0, 0, 0, 0, 0),
            };
        }
    }

    internal static void SkipUnlessPossible()
    {
        ProgramRun.SkipUnlessLosetup();
        Assert.SkipUnless(Credentials.IsRoot, "needs root");
        Assert.SkipUnless(System.IO.File.Exists("/dev/loop-control"), "needs the kernel's loop devices");
    }

    /// <summary>Attaches a file.</summary>
    internal static KernelDevice Attach(string file, params IEnumerable<string> options)
    {
        SkipUnlessPossible();
        return new KernelDevice(ProgramRun.Of(ProgramRun.Losetup, ["-f", "--show", .. options, "--", file]).Succeeded().Output.Trim(), file);
    }

    public void Dispose()
    {
        KernelLoop.Attached bound = KernelLoop.List().Single(loop => loop.Path == Path);
        ProgramRun.Of(ProgramRun.Losetup, "-d", Path).Succeeded();
        // It stays bound as long as anybody has it open, and a list that losetup makes for another test may open every device.
        Assert.True(SpinWait.SpinUntil(() => !KernelLoop.List().Contains(bound), TimeSpan.FromSeconds(20)), $"{Path} is still bound to {File}");
    }

    /// <summary>Whether the kernel has anything bound to it, by whomever.</summary>
    internal bool IsBound => KernelLoop.List().Any(loop => loop.Path == Path);

    internal bool IsReadOnly => Read("ro") == "1";

    /// <summary>Another number after each time that the device was bound or detached, by whomever.</summary>
    internal long Sequence => ReadNumber("diskseq");

    private long ReadNumber(string attribute) => long.Parse(Read(attribute), CultureInfo.InvariantCulture);

    private string Read(string attribute)
    {
        string text = System.IO.File.ReadAllText($"/sys/block/loop{Number}/{attribute}");
        return text[..^1];
    }
}
