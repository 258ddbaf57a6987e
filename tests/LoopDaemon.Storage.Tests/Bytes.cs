namespace LoopDaemon.Storage.Tests;

/// <summary>Test data.</summary>
internal static class Bytes
{
    internal static byte[] Random(int count, int seed)
    {
        byte[] bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
