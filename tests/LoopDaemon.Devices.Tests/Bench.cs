using LoopDaemon.Linux;
using LoopDaemon.Transfers;

namespace LoopDaemon.Devices.Tests;

/// <summary>A device table and a directory for backing files, both gone with the test.</summary>
internal sealed class Bench : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("loopd-devices-").FullName;
    private int _files;

    internal Bench(int maxLoop = 4)
    {
        Table = new DeviceTable(maxLoop, TransferRegistry.CreateDefault());
        Table.Changed += changed =>
        {
            lock (Changes)
                Changes.Add(changed);
        };
        Table.Failed += Failures.Add;
    }

    internal DeviceTable Table { get; }

    internal List<DeviceChanged> Changes { get; } = [];

    internal List<DeviceFailure> Failures { get; } = [];

    /// <summary>A new file of bytes that count up.</summary>
    internal string MakeFile(long length)
    {
        string path = Path.Combine(_directory, $"{Interlocked.Increment(ref _files)}.img");
        File.WriteAllBytes(path, Pattern(length));
        return path;
    }

    internal static byte[] Pattern(long length)
    {
        byte[] bytes = new byte[length];
        for (int i = 0; i < bytes.Length; i++)
            bytes[i] = (byte)(i * 7 + i / 256);
        return bytes;
    }

    /// <summary>A request for a file of its own.</summary>
    internal static BindRequest Request(string path, OpenFlags flags = OpenFlags.ReadWrite) =>
        new() { BackingFile = FileDescriptor.Open(path, flags) };

    internal LoopDevice Bind(BindRequest request, int? number = null) => BindFully(request, number).Device;

    internal BindResult BindFully(BindRequest request, int? number = null) => Table.Bind(number, request);

    internal LoopDevice Bind(long length, int? number = null) => Bind(Request(MakeFile(length)), number);

    public void Dispose()
    {
        foreach (LoopDevice device in Table.Devices)
            device.Binding?.Dispose();
        Directory.Delete(_directory, recursive: true);
    }
}
