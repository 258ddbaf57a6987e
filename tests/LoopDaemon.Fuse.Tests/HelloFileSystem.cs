using LoopDaemon.Linux;

namespace LoopDaemon.Fuse.Tests;

/// <summary>A read-only file system with one file, "hello": what one with this library takes at the least.</summary>
internal sealed class HelloFileSystem : FuseFileSystem
{
    private const ulong HelloNode = 2;
    private static readonly byte[] Content = "Hello from user space.\n"u8.ToArray();

    public override Errno Lookup(in FuseRequest request, ReadOnlySpan<byte> name, ref FuseEntry entry)
    {
        if (request.Node != RootNode || !name.SequenceEqual("hello"u8))
            return Errno.ENOENT;
        entry.Attributes = Describe(HelloNode);
        return Errno.None;
    }

    public override Errno GetAttributes(in FuseRequest request, ref NodeAttributes attributes)
    {
        attributes = Describe(request.Node);
        return Errno.None;
    }

    public override Errno Open(in FuseRequest request, OpenFlags flags, ref OpenReply reply) =>
        (flags & OpenFlags.AccessMode) == OpenFlags.ReadOnly ? Errno.None : Errno.EROFS;

    public override Errno Read(in FuseRequest request, in FilePosition position, Span<byte> destination, out int count)
    {
        ReadOnlySpan<byte> rest = Content.AsSpan((int)Math.Min(position.Offset, Content.Length));
        count = Math.Min(rest.Length, destination.Length);
        rest[..count].CopyTo(destination);
        return Errno.None;
    }

    public override Errno ReadDirectory(in FuseRequest request, ulong handle, ulong cookie, ref DirectoryWriter writer)
    {
        if (cookie == 0)
            writer.TryAdd("hello"u8, nextCookie: 1, new FuseEntry { Attributes = Describe(HelloNode) });
        return Errno.None;
    }

    private static NodeAttributes Describe(ulong node) => new()
    {
        Node = node,
        Kind = node == RootNode ? FileKind.Directory : FileKind.RegularFile,
        Permissions = node == RootNode ? 0b111_101_101u : 0b100_100_100u,
        SizeBytes = node == RootNode ? 0 : Content.Length,
        Links = 1,
        Validity = TimeSpan.FromSeconds(60),
    };
}
