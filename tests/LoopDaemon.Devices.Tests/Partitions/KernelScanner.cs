using System.Globalization;
using LoopDaemon.Linux;

namespace LoopDaemon.Devices.Tests;

/// <summary>The kernel's own reading of partition tables, on its loop devices: by the kernel of this machine or, where that
/// was built without it (CONFIG_MSDOS_PARTITION, CONFIG_EFI_PARTITION) or the tests do not run as root, by user-mode
/// Linux, a kernel that runs as a program.</summary>
internal sealed class KernelScanner : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("loopd-kernel-").FullName;
    private readonly List<string> _images = [];

    /// <summary>Adds an image to those that are read.</summary>
    internal void Add(byte[] contents, int sectorBytes)
    {
        string name = string.Create(CultureInfo.InvariantCulture, $"{_images.Count}-{sectorBytes}");
        File.WriteAllBytes(Path.Combine(_directory, name), contents);
        _images.Add(name);
    }

    /// <summary>The partitions of each image, in the order of their numbers. The test is skipped where no kernel can be had
    /// that reads the tables.</summary>
    internal IReadOnlyList<Partition[]> Scan()
    {
        if (CanScanHere())
            return ScanHere();
        Assert.SkipUnless(Shell.IsInstalled("linux.uml"), "needs root and a kernel that reads partition tables, or user-mode-linux");
        return ScanInUserModeLinux();
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private static bool CanScanHere()
    {
        if (!Credentials.IsRoot || !File.Exists("/dev/loop-control"))
            return false;
        using var scanner = new KernelScanner();
        foreach (string label in (string[])["dos", "gpt"])
        {
            using var image = new DiskImage(4 * DiskImage.MiB);
            scanner.Add(image.Sfdisk($"label: {label}\n;\n").Contents, 512);
        }
        return scanner.ScanHere().All(partitions => partitions.Length == 1);
    }

    private IReadOnlyList<Partition[]> ScanHere()
    {
        Shell.Run("bash", "", WriteScript("scan", ScanLines("losetup --detach")));
        return Found();
    }

    private IReadOnlyList<Partition[]> ScanInUserModeLinux()
    {
        // The machine's root file system is its own, read-only but for the directory of the images.
        string init = WriteScript("init", $"""
            #!/bin/bash
            export PATH=/usr/sbin:/usr/bin:/sbin:/bin
            mount -t proc proc /proc
            mount -t sysfs sysfs /sys
            mount -t hostfs -o {_directory} images {_directory}
            insmod /usr/lib/uml/modules/$(uname -r)/kernel/drivers/block/loop.ko
            {ScanLines(detach: ":")}
            echo o > /proc/sysrq-trigger
            sleep 60
            """);
        Shell.Run("linux.uml", "", "mem=128M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", $"init={init}",
            $"uml_dir={_directory}", "con=null", "con0=null,fd:1");
        return Found();
    }

    /// <summary>Writes a line "image number start size" for each partition, with sizes in units of 512 bytes, into the file
    /// "found", and one "done" when all went well.</summary>
    /// <param name="detach">What ends a loop device; in user-mode Linux all end with the kernel, which is faster.</param>
    private string ScanLines(string detach) => $$"""
        set -e
        export PATH=/usr/sbin:/usr/bin:/sbin:/bin
        cd {{_directory}}
        for image in *-*; do
            device=$(losetup --find --show --read-only --partscan --sector-size "${image#*-}" "$image")
            device=${device#/dev/}
            for partition in /sys/block/$device/$device*; do
                [ -e "$partition" ] || continue
                read -r number < "$partition/partition"
                read -r start < "$partition/start"
                read -r size < "$partition/size"
                echo "$image $number $start $size"
            done
            {{detach}} "/dev/$device"
        done > found
        echo done >> found
        """;

    private string WriteScript(string name, string lines)
    {
        string path = Path.Combine(_directory, name);
        File.WriteAllText(path, lines.ReplaceLineEndings("\n") + "\n");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        return path;
    }

    private IReadOnlyList<Partition[]> Found()
    {
        string[] lines = File.ReadAllLines(Path.Combine(_directory, "found"));
        Assert.Equal("done", lines[^1]);
        ILookup<string, Partition> found = lines[..^1].Select(line => line.Split(' '))
            // An entry of a GPT that ends before it begins has nearly 2^64 sectors in the kernel.
            .Where(words => words[3].Length < 19)
            .ToLookup(
                words => words[0],
                words => new Partition(int.Parse(words[1], CultureInfo.InvariantCulture), Bytes(words[2]), Bytes(words[3])));
        return [.. _images.Select(image => found[image].OrderBy(partition => partition.Number).ToArray())];
    }

    private static long Bytes(string sectors) => long.Parse(sectors, CultureInfo.InvariantCulture) * 512;
}
