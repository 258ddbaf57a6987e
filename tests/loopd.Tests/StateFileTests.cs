using System.Diagnostics;
using LoopDaemon.Daemon.Survival;
using LoopDaemon.Linux;

namespace LoopDaemon.Daemon.Tests;

public sealed class StateFileTests
{
    private const int WrittenCells = 4;

    [Fact]
    public void A_record_is_replaced_and_found_again_by_the_next()
    {
        using var file = new StateFile();
        Assert.Null(file.Read(0));
        Assert.Empty(file.Cells());
        file.Write(0, "one"u8);
        file.Write(65536, "far"u8);
        file.Write(0, "another, longer one"u8);
        file.Write(0, "two"u8);
        using var next = new StateFile(file.File.Duplicate());
        Assert.Equal("two"u8, next.Read(0)!);
        Assert.Equal("far"u8, next.Read(65536)!);
        Assert.Equal([0, 65536], next.Cells());
    }

    [Fact]
    public void A_removed_record_is_gone_and_its_cell_usable_again()
    {
        using var file = new StateFile();
        file.Write(3, new byte[100_000]);
        file.Write(3, new byte[100_000]);
        file.Write(4, "stays"u8);
        Assert.Equal(Errno.None, file.File.GetStatus(out FileStatus before));
        file.Remove(3);
        file.Remove(3);
        file.Remove(7);
        Assert.Null(file.Read(3));
        Assert.Equal([4], file.Cells());
        Assert.Equal(Errno.None, file.File.GetStatus(out FileStatus after));
        Assert.True(after.AllocatedBytes <= before.AllocatedBytes - 200_000);
        file.Write(3, "again"u8);
        Assert.Equal("again"u8, file.Read(3)!);
    }

    [Fact]
    public void A_record_that_is_too_long_leaves_the_old_one()
    {
        using var file = new StateFile();
        file.Write(0, new byte[StateFile.MaxRecordBytes]);
        Assert.Equal(Errno.E2BIG, Assert.Throws<LinuxException>(() => file.Write(0, new byte[StateFile.MaxRecordBytes + 1])).Errno);
        Assert.Equal(StateFile.MaxRecordBytes, file.Read(0)!.Length);
    }

    /// <summary>A process that is killed at any point leaves the old record or the new one, and never loses one for good.</summary>
    [Fact]
    public void A_killed_writer_leaves_whole_records()
    {
        string path = Path.GetTempFileName();
        try
        {
            for (int round = 0; round < 15; round++)
            {
                using Process writer = Process.Start(new ProcessStartInfo(Environment.ProcessPath!, ["write-state", path]) { RedirectStandardOutput = true })!;
                Assert.Equal("writing", writer.StandardOutput.ReadLine());
                Thread.Sleep(Random.Shared.Next(0, 40));
                writer.Kill();
                writer.WaitForExit();
                using var file = new StateFile(FileDescriptor.Open(path, OpenFlags.ReadWrite));
                Assert.Subset(Enumerable.Range(0, WrittenCells + 1).ToHashSet(), file.Cells().ToHashSet());
                // The last cell is removed again and again; the others never.
                for (int cell = 0; cell < WrittenCells; cell++)
                    Assert.True(IsWhole(Assert.IsType<byte[]>(file.Read(cell))));
                Assert.True(file.Read(WrittenCells) is not { } record || IsWhole(record));
            }
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <summary>What the writer that is killed does: records that begin with their length, and are of one byte otherwise.</summary>
    internal static int WriteForEver(string path)
    {
        using var file = new StateFile(FileDescriptor.Open(path, OpenFlags.ReadWrite));
        for (int count = 0; ; count++)
        {
            for (int cell = 0; cell <= WrittenCells; cell++)
            {
                byte[] record = new byte[Random.Shared.Next(5, 20_000)];
                record.AsSpan().Fill((byte)count);
                BitConverter.TryWriteBytes(record, record.Length);
                file.Write(cell, record);
            }
            file.Remove(WrittenCells);
            if (count == 0)
                Console.WriteLine("writing");
        }
    }

    private static bool IsWhole(byte[] record) =>
        BitConverter.ToInt32(record) == record.Length && !record.AsSpan(4).ContainsAnyExcept(record[4]);
}
