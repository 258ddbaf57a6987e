using LoopDaemon.Daemon.Supervision;
using LoopDaemon.Linux;

namespace LoopDaemon.Daemon.Tests;

public sealed class HeldDescriptorsTests : IDisposable
{
    private const int LeastNumber = 203;

    private readonly HeldDescriptors _held = new(LeastNumber);

    public void Dispose() => _held.Dispose();

    [Fact]
    public void A_descriptor_stays_its_callers()
    {
        using FileDescriptor memory = FileDescriptor.CreateMemory("held", 5);
        Assert.True(_held.Add("name", memory));
        Assert.Equal(Errno.None, memory.WriteAt(0, "bytes"u8));
        Assert.Equal("bytes"u8, Read(_held.Find("name")!));
        Assert.True(_held.Find("name")!.Number >= LeastNumber);
        Assert.NotEqual(memory.Number, _held.Find("name")!.Number);
    }

    /// <summary>The same file opened anew is another description, with a position and locks of its own.</summary>
    [Fact]
    public void Only_the_same_open_file_description_is_the_same()
    {
        using FileDescriptor memory = FileDescriptor.CreateMemory("held", 0), same = memory.Duplicate();
        Assert.Equal(Errno.None, memory.TryReopen(OpenFlags.ReadWrite, out FileDescriptor? other));
        using (other)
        {
            Assert.True(_held.Add("first", memory));
            Assert.True(_held.Add("second", same));
            Assert.True(_held.Add("third", other!));
        }
        Assert.Equal(["first", "third"], _held.All.Select(held => held.Name));
    }

    /// <summary>A child gets them under the numbers from 3 on, one after the other: those must all lie below.</summary>
    [Fact]
    public void There_are_never_more_than_numbers_below_them()
    {
        for (int i = 0; i < LeastNumber - 3; i++)
        {
            using FileDescriptor memory = FileDescriptor.CreateMemory("held", 0);
            Assert.True(_held.Add($"{i}", memory));
        }
        using FileDescriptor last = FileDescriptor.CreateMemory("held", 0);
        Assert.False(_held.Add("last", last));
        // One that is there already needs no room.
        Assert.True(_held.Add("again", _held.Find("17")!));
        _held.Remove("17");
        Assert.False(_held.Has("17"));
        Assert.True(_held.Add("last", last));
    }

    [Fact]
    public void What_is_removed_is_closed()
    {
        using FileDescriptor memory = FileDescriptor.CreateMemory("held", 0);
        (FileDescriptor here, FileDescriptor there) = DescriptorPassing.CreatePair();
        using (here)
        {
            Assert.True(_held.Add("pair", there));
            Assert.True(_held.Add("memory", memory));
            there.Dispose();
            Assert.False(here.HasFailed);
            _held.Remove("pair");
            Assert.Equal(Errno.None, here.WaitReadable(TimeSpan.FromSeconds(10)));
            Assert.Equal(["memory"], _held.All.Select(held => held.Name));
        }
    }

    private static byte[] Read(FileDescriptor file)
    {
        byte[] bytes = new byte[5];
        Assert.Equal(Errno.None, file.ReadAt(0, bytes, out int count));
        return bytes[..count];
    }
}
