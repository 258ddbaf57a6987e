namespace LoopDaemon.Linux.Tests;

public sealed class IoUringTests
{
    [Fact]
    public void The_end_of_a_file_completes_a_wait_for_it()
    {
        using IoUring ring = Make(4);
        (FileDescriptor here, FileDescriptor there) = DescriptorPassing.CreatePair();
        using (here)
        {
            ring.PrepareWaitForEnd(here, id: 17);
            Assert.Equal(Errno.None, ring.Enter(wait: false));
            Assert.False(ring.TryTake(out _, out _));
            there.Dispose();
            Assert.Equal(Errno.None, ring.Enter(wait: true));
            Assert.True(ring.TryTake(out ulong id, out int result));
            Assert.Equal(17UL, id);
            Assert.True(result > 0);
            Assert.False(ring.TryTake(out _, out _));
        }
    }

    /// <summary>More often than the ring has entries: its indices go round.</summary>
    [Fact]
    public void A_command_that_a_file_does_not_know_fails_and_the_ring_lives_on()
    {
        using IoUring ring = Make(4);
        using FileDescriptor memory = FileDescriptor.CreateMemory("ring", 4096);
        for (ulong i = 0; i < 100; i++)
        {
            ring.PrepareCommand(memory, 1, i, 0L);
            Assert.Equal(Errno.None, ring.Enter(wait: true));
            Assert.True(ring.TryTake(out ulong id, out int result));
            Assert.Equal((i, -(int)Errno.EOPNOTSUPP), (id, result));
        }
    }

    [Fact]
    public void More_than_it_holds_is_not_queued()
    {
        using IoUring ring = Make(4);
        using FileDescriptor memory = FileDescriptor.CreateMemory("ring", 4096);
        for (ulong i = 0; i < 4; i++)
            ring.PrepareWaitForEnd(memory, i);
        Assert.Throws<InvalidOperationException>(() => ring.PrepareWaitForEnd(memory, 4));
    }

    [Fact]
    public void Too_many_entries_are_EINVAL()
    {
        Make(4).Dispose();
        Assert.Equal(Errno.EINVAL, IoUring.TryCreate(1 << 20, out IoUring? ring));
        Assert.Null(ring);
    }

    private static IoUring Make(int entries)
    {
        Errno error = IoUring.TryCreate(entries, out IoUring? ring);
        Assert.SkipUnless(error == Errno.None, $"needs io_uring: {error.Name()}");
        return ring!;
    }
}
