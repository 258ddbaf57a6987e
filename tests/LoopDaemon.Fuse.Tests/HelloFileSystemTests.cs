using LoopDaemon.Linux;

namespace LoopDaemon.Fuse.Tests;

public sealed class HelloFileSystemTests
{
    [Fact]
    public void The_file_is_listed_and_read()
    {
        using var mounted = new MountedFileSystem(new HelloFileSystem());
        Assert.Equal(["hello"], Directory.GetFileSystemEntries(mounted.Path).Select(Path.GetFileName));
        Assert.Equal("Hello from user space.\n", File.ReadAllText(mounted.File("hello")));
        Assert.Equal(23, new FileInfo(mounted.File("hello")).Length);
        Assert.Empty(mounted.Trouble);
    }

    [Fact]
    public void What_it_lacks_is_refused()
    {
        using var mounted = new MountedFileSystem(new HelloFileSystem());
        Assert.Equal(Errno.ENOENT, FileDescriptor.TryOpen(mounted.File("other"), OpenFlags.ReadOnly, out _));
        Assert.Equal(Errno.EROFS, FileDescriptor.TryOpen(mounted.File("hello"), OpenFlags.ReadWrite, out _));
        Assert.Equal(Errno.ENOSYS, FileDescriptor.TryOpen(mounted.File("new"), OpenFlags.ReadWrite | OpenFlags.Create, out _));
    }

    [Fact]
    public void Unmounting_ends_the_server()
    {
        var mounted = new MountedFileSystem(new HelloFileSystem(), threads: 4);
        mounted.Dispose();
        Assert.True(mounted.Completion.IsCompletedSuccessfully);
    }
}
