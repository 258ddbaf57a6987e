using System.IO.Pipes;
using System.Text;
using LoopDaemon.CommandLine.Keys;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine.Tests.Keys;

/// <summary>The whole way of a pass phrase: from a descriptor that a parent might have left open to the memory file that the
/// daemon gets.</summary>
internal static class Derived
{
    internal static byte[] Key(string passphrase, string transfer, string? version = null, int? keyBits = null, string? hash = null, bool noHash = false) =>
        Key(Encoding.UTF8.GetBytes(passphrase), transfer, KeyDerivation.Choose(version, keyBits, hash, noHash));

    internal static byte[] Key(byte[] passphrase, string transfer, KeyDerivation rules)
    {
        using Passphrase typed = Read(passphrase);
        using FileDescriptor memory = rules.Derive(typed, transfer);
        byte[] key = new byte[100];
        Assert.Equal(Errno.None, memory.ReadAt(0, key, out int length));
        return key[..length];
    }

    internal static Passphrase Read(byte[] bytes)
    {
        using var pipe = new AnonymousPipeServerStream(PipeDirection.Out, HandleInheritability.Inheritable);
        pipe.Write([.. bytes, (byte)'\n']);
        return Passphrase.Read((int)pipe.ClientSafePipeHandle.DangerousGetHandle());
    }
}
