using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using LoopDaemon.Linux;
using LoopDaemon.Storage;

namespace LoopDaemon.Devices.Tests;

/// <summary>An image file in which the system's own programs make and judge partition tables.</summary>
internal sealed partial class DiskImage : IDisposable
{
    internal const int MiB = 1 << 20;

    private readonly string _directory = Directory.CreateTempSubdirectory("loopd-partitions-").FullName;

    internal DiskImage(long length = 64 * MiB)
    {
        using FileStream file = File.Create(Path);
        file.SetLength(length);
    }

    internal DiskImage(byte[] contents) => File.WriteAllBytes(Path, contents);

    // The name ends in a letter: what follows it in sfdisk's output is the partition's number.
    internal string Path => System.IO.Path.Combine(_directory, "disk.img");

    internal byte[] Contents => File.ReadAllBytes(Path);

    internal DiskImage Sfdisk(string script, params string[] arguments)
    {
        Shell.Run("sfdisk", script, ["--quiet", .. arguments, Path]);
        return this;
    }

    internal DiskImage Sgdisk(params string[] arguments)
    {
        Shell.Run("sgdisk", "", [.. arguments, Path]);
        return this;
    }

    internal DiskImage Parted(params string[] arguments)
    {
        Shell.Run("parted", "", ["--script", Path, .. arguments]);
        return this;
    }

    /// <summary>Types commands into fdisk, which takes the image for a disk with sectors of any size.</summary>
    internal DiskImage Fdisk(int sectorBytes, string commands)
    {
        Shell.Run("fdisk", commands, "--sector-size", $"{sectorBytes}", Path);
        return this;
    }

    /// <summary>Makes the image longer or shorter.</summary>
    internal DiskImage Resize(long length)
    {
        using FileStream file = File.OpenWrite(Path);
        file.SetLength(length);
        return this;
    }

    internal DiskImage Patch(long offset, params ReadOnlySpan<byte> bytes)
    {
        using FileStream file = File.OpenWrite(Path);
        file.Position = offset;
        file.Write(bytes);
        return this;
    }

    /// <summary>Changes every bit of a byte.</summary>
    internal DiskImage Flip(long offset)
    {
        using FileStream file = File.Open(Path, FileMode.Open);
        file.Position = offset;
        byte value = (byte)file.ReadByte();
        file.Position = offset;
        file.WriteByte((byte)~value);
        return this;
    }

    internal FileStore Open(OpenFlags flags = OpenFlags.ReadOnly) => FileStore.Open(FileDescriptor.Open(Path, flags));

    internal PartitionScan Scan(int sectorBytes = 512)
    {
        using FileStore store = Open();
        return PartitionTable.Read(store, sectorBytes, "loop0");
    }

    /// <summary>What sfdisk finds on a file or device, with extended partitions cut down as the kernel does.</summary>
    internal static Partition[] AskSfdisk(string path)
    {
        using var json = JsonDocument.Parse(Shell.Run("sfdisk", "", "--json", path));
        JsonElement table = json.RootElement.GetProperty("partitiontable");
        int sectorBytes = table.GetProperty("sectorsize").GetInt32();
        if (!table.TryGetProperty("partitions", out JsonElement partitions))
            return [];
        return [.. partitions.EnumerateArray().Select(partition =>
        {
            long sectors = partition.GetProperty("size").GetInt64();
            if (partition.GetProperty("type").GetString() is "5" or "f" or "85")
                sectors = Math.Min(sectors, Math.Max(1024 / sectorBytes, 1));
            return new Partition(
                int.Parse(TrailingNumber().Match(partition.GetProperty("node").GetString()!).Value, CultureInfo.InvariantCulture),
                partition.GetProperty("start").GetInt64() * sectorBytes, sectors * sectorBytes);
        }).OrderBy(partition => partition.Number)];
    }

    /// <summary>What parted finds on a file or device; it gives no types, so extended partitions keep their size.</summary>
    internal static Partition[] AskParted(string path) =>
        // BYT;  /path:67108864B:file:512:512:gpt::;  1:1048576B:2097151B:1048576B:ext4:name:flags;
        [.. Shell.Run("parted", "", "--script", "--machine", path, "unit", "B", "print")
            .Split('\n').Skip(2).Where(line => line.Length > 0)
            .Select(line => line.Split(':'))
            .Select(fields => new Partition(
                int.Parse(fields[0], CultureInfo.InvariantCulture), Bytes(fields[1]), Bytes(fields[3])))
            .OrderBy(partition => partition.Number)];

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private static long Bytes(string text) => long.Parse(text.TrimEnd('B'), CultureInfo.InvariantCulture);

    [GeneratedRegex("[0-9]+$")]
    private static partial Regex TrailingNumber();
}
