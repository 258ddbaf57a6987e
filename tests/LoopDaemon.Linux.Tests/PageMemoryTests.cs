using System.Runtime.InteropServices;

namespace LoopDaemon.Linux.Tests;

public sealed class PageMemoryTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(4096)]
    [InlineData(4097)]
    [InlineData(1 << 20)]
    public void Memory_is_page_aligned_zeroed_and_of_whole_pages(int bytes)
    {
        using var memory = PageMemory.Allocate(bytes);
        Assert.Equal((bytes + PageMemory.PageSize - 1) / PageMemory.PageSize * PageMemory.PageSize, memory.Length);
        Span<byte> all = memory.Span(0, memory.Length);
        Assert.Equal(-1, all.IndexOfAnyExcept((byte)0));
        Assert.Equal(0, Address(all) % PageMemory.PageSize);
        all.Fill(1);
        Assert.Equal(-1, memory.Span(0, memory.Length).IndexOfAnyExcept((byte)1));
    }

    [Theory]
    [InlineData(0, 4097)]
    [InlineData(4096, 1)]
    [InlineData(4097, 0)]
    [InlineData(-1, 1)]
    [InlineData(0, -1)]
    [InlineData(int.MaxValue, int.MaxValue)]
    public void A_part_outside_is_refused(int offset, int length)
    {
        using var memory = PageMemory.Allocate(4096);
        Assert.Throws<ArgumentOutOfRangeException>(() => { _ = memory.Span(offset, length); });
    }

    [Fact]
    public void A_part_may_end_where_the_memory_ends()
    {
        using var memory = PageMemory.Allocate(4096);
        Assert.Equal(1, memory.Span(4095, 1).Length);
        Assert.Equal(0, memory.Span(4096, 0).Length);
    }

    [Fact]
    public void Shared_memory_is_the_files_own()
    {
        using FileDescriptor file = FileDescriptor.CreateMemory("loopd-test", 16384);
        using var memory = PageMemory.Share(file, 8192, 8192);
        Assert.Equal(Errno.None, file.WriteAt(8192, "to memory"u8));
        Assert.Equal("to memory"u8, memory.Span(0, 9));
        "to file"u8.CopyTo(memory.Span(4096, 7));
        byte[] bytes = new byte[7];
        Assert.Equal(Errno.None, file.ReadAt(12288, bytes, out _));
        Assert.Equal("to file"u8, bytes);
    }

    [Fact]
    public void What_cannot_be_mapped_is_refused()
    {
        using FileDescriptor file = FileDescriptor.CreateMemory("loopd-test", 4096);
        Assert.Equal(Errno.EINVAL, Assert.Throws<LinuxException>(() => PageMemory.Share(file, 1, 4096)).Errno);
    }

    [Fact]
    public void Disposing_twice_is_harmless()
    {
        var memory = PageMemory.Allocate(4096);
        memory.Dispose();
        memory.Dispose();
        Assert.True(memory.LockResult is Errno.None or Errno.ENOMEM or Errno.EPERM, $"{memory.LockResult}");
    }

    private static nint Address(Span<byte> span)
    {
        ref byte first = ref MemoryMarshal.GetReference(span);
        unsafe
        {
            return (nint)System.Runtime.CompilerServices.Unsafe.AsPointer(ref first);
        }
    }
}
