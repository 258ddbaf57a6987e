using LoopDaemon.Linux;

namespace LoopDaemon.Control.Varlink;

/// <summary>One message: its JSON without the NUL, and the descriptors that came with it. Whoever holds the message
/// owns the descriptors; they are closed with it.</summary>
internal sealed class VarlinkMessage(byte[] json, IReadOnlyList<FileDescriptor> descriptors) : IDisposable
{
    internal ReadOnlyMemory<byte> Json => json;

    internal IReadOnlyList<FileDescriptor> Descriptors => descriptors;

    public void Dispose()
    {
        foreach (FileDescriptor descriptor in descriptors)
            descriptor.Dispose();
    }
}
