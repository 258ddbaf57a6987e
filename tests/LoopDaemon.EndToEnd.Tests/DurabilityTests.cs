using System.Diagnostics;
using System.Globalization;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>What fsync(2) promises of a device holds whatever becomes of the daemon.</summary>
public sealed class DurabilityTests
{
    private const int Bytes = 16 << 20;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Fsync_on_a_device_syncs_the_backing_file(bool direct)
    {
        using var loopd = new Loopd();
        string image = loopd.MakeSparseFile("disk.img", Bytes);
        string device = loopd.Bind([.. TransferStack.Make(loopd, "xor").Arguments, image]);
        using FileDescriptor file = FileDescriptor.Open(device, OpenFlags.ReadWrite | (direct ? FileDescriptor.Direct : 0));
        using var trace = new Trace(loopd, "fsync,fdatasync", image);
        Assert.Equal(Errno.None, file.WriteAt(100, [1, 2, 3]));
        Assert.Empty(trace.Calls);
        Assert.Equal(Errno.None, file.Synchronize(dataOnly: false));
        Loopd.WaitUntil(() => trace.Calls.Length == 1, "a sync of the backing file");
        Assert.Equal(Errno.None, file.Synchronize(dataOnly: true));
        Loopd.WaitUntil(() => trace.Calls.Length == 2, "another sync of the backing file");
    }

    /// <summary>What is written there is made durable with the write itself, and alone.</summary>
    [Theory]
    [InlineData("xor")]
    [InlineData("identity")]
    public void A_write_to_a_device_that_is_open_with_O_DSYNC_is_durable(string stackName)
    {
        using var loopd = new Loopd();
        TransferStack stack = TransferStack.Make(loopd, stackName);
        string image = loopd.MakeFile("disk.img", stack.Encode(new byte[Bytes]));
        string device = loopd.Bind([.. stack.Arguments, image]);
        byte[] data = TransferStack.Key(5000), model = new byte[Bytes];
        using (FileDescriptor file = FileDescriptor.Open(device, OpenFlags.ReadWrite | OpenFlags.DataSync | FileDescriptor.Direct))
        using (var trace = new Trace(loopd, "pwritev2,fsync,fdatasync", image))
        {
            Assert.Equal(Errno.None, file.WriteAt(1000, data));
            Loopd.WaitUntil(() => trace.Calls.Length == 1, "a write of the backing file");
            Assert.Contains("RWF_DSYNC", Assert.Single(trace.Calls), StringComparison.Ordinal);
        }
        data.CopyTo(model, 1000);
        Assert.Equal(stack.Encode(model), File.ReadAllBytes(image));
    }

    /// <summary>The daemon is killed in the middle of a writer's work, who has noted what was synced by then.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_killed_daemon_loses_nothing_that_was_synced(bool direct)
    {
        const int Record = 700;
        using var loopd = new Loopd();
        TransferStack stack = TransferStack.Make(loopd, "xor, xor");
        string image = loopd.MakeFile("disk.img", stack.Encode(new byte[Bytes]));
        string device = loopd.Bind([.. stack.Arguments, image]);
        byte[] data = File.ReadAllBytes(loopd.MakeFile("data", Bytes));

        int synced = 0;
        Errno end = Errno.None;
        var writer = new Thread(() =>
        {
            using FileDescriptor file = FileDescriptor.Open(device, OpenFlags.ReadWrite | (direct ? FileDescriptor.Direct : 0));
            for (int at = 0; at + Record <= Bytes && end == Errno.None; at += Record)
            {
                end = file.WriteAt(at, data.AsSpan(at, Record));
                if (end == Errno.None)
                    end = file.Synchronize(dataOnly: true);
                if (end == Errno.None)
                    Volatile.Write(ref synced, at + Record);
            }
        })
        { IsBackground = true };
        writer.Start();
        Loopd.WaitUntil(() => Volatile.Read(ref synced) > 100 * Record, "a hundred records are synced");
        loopd.Signal("KILL");
        loopd.WaitForExit();
        Assert.True(writer.Join(TimeSpan.FromSeconds(20)), "the writer hangs");
        Assert.Contains(end, new[] { Errno.ENOTCONN, Errno.ECONNABORTED });

        Assert.Equal(data[..synced], stack.Decode(File.ReadAllBytes(image))[..synced]);
        loopd.StartAgain();
        Assert.Equal(data[..synced], File.ReadAllBytes(loopd.Bind([.. stack.Arguments, image]))[..synced]);
        Assert.Equal(0, loopd.Stop());
    }

    [Fact]
    public void A_new_daemon_cleans_the_mount_of_a_killed_one_and_serves_again()
    {
        using var loopd = new Loopd();
        TransferStack stack = TransferStack.Make(loopd, "xor");
        string plain = loopd.MakeFile("plain", 1 << 20);
        string image = loopd.MakeFile("disk.img", stack.Encode(File.ReadAllBytes(plain)));
        string device = loopd.Bind([.. stack.Arguments, image]);
        // The kernel remembers the directory's attributes, whether anybody is there to ask or not.
        Shell.Run("stat", loopd.Mount).Succeeded();
        // Still open when the daemon dies, and then of no use.
        using FileDescriptor left = FileDescriptor.Open(device, OpenFlags.ReadOnly);
        loopd.Signal("KILL");
        loopd.WaitForExit();
        Assert.Equal(Errno.ENOTCONN, FileDescriptor.TryOpen(device, OpenFlags.ReadOnly, out _));

        loopd.StartAgain();
        Assert.Contains("was the mount of a loopd that has died; it is cleaned", loopd.Log, StringComparison.Ordinal);
        Assert.Single(MountTable.Read(), mount => mount.MountPoint == loopd.Mount);
        Assert.Equal(device, loopd.Bind([.. stack.Arguments, image]));
        Shell.Run("cmp", plain, device).Succeeded();
        Assert.NotEqual(Errno.None, left.ReadAt(0, new byte[1], out _));
        Assert.Equal(0, loopd.Stop());
        Assert.Null(MountTable.At(loopd.Mount));
    }

    [Fact]
    public void A_file_system_synced_before_the_daemon_is_killed_is_whole()
    {
        Requirements.SkipUnlessKernelLoop();
        Requirements.SkipUnlessInstalled("mkfs.ext4");
        using var loopd = new Loopd();
        using var directory = new MountDirectory(loopd);
        TransferStack stack = TransferStack.Make(loopd, "xor");
        string image = loopd.File("disk.img"), data = loopd.MakeFile("data", 5_000_001);
        loopd.Control(["mount", "--create", "64M", "--mkfs", "ext4", .. stack.Arguments, image, directory.Path]).Succeeded();
        Shell.Run("dd", $"if={data}", $"of={directory.Path}/data", "bs=64k", "conv=fsync", "status=none").Succeeded();
        Shell.Run("sync", directory.Path).Succeeded();
        loopd.Signal("KILL");
        loopd.WaitForExit();
        // Fails to write its last words, and takes the kernel's loop device with it.
        directory.Unmount();

        loopd.StartAgain();
        loopd.Control(["mount", .. stack.Arguments, image, directory.Path]).Succeeded();
        Shell.Run("cmp", data, $"{directory.Path}/data").Succeeded();
        loopd.Control("umount", directory.Path).Succeeded();
    }

    /// <summary>strace(1) on the daemon.</summary>
    private sealed class Trace : IDisposable
    {
        private readonly Process _strace;
        private readonly string _output;
        private readonly string _image;

        internal Trace(Loopd loopd, string calls, string image)
        {
            Requirements.SkipUnlessInstalled("strace");
            _image = image;
            _output = loopd.File("trace");
            string[] arguments = ["-f", "-y", "-o", _output, "-e", $"trace={calls}", "-p", loopd.ProcessId.ToString(CultureInfo.InvariantCulture)];
            _strace = Process.Start(new ProcessStartInfo("strace", arguments) { RedirectStandardError = true })!;
            string? attached = _strace.StandardError.ReadLine();
            Assert.SkipUnless(attached?.Contains("attached", StringComparison.Ordinal) == true, $"needs to trace a process: {attached}");
        }

        /// <summary>The calls on the image so far.</summary>
        internal string[] Calls => [.. File.ReadLines(_output).Where(line => line.Contains($"<{_image}>", StringComparison.Ordinal))];

        public void Dispose()
        {
            Shell.Run("kill", "-s", "INT", _strace.Id.ToString(CultureInfo.InvariantCulture));
            Assert.True(_strace.WaitForExit(TimeSpan.FromSeconds(10)));
            _strace.Dispose();
        }
    }
}
