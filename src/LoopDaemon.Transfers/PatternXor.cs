using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LoopDaemon.Transfers;

/// <summary>XOR of sectors with a pattern of one sector, with the widest vectors the processor has.</summary>
/// <remarks>The width is chosen by <c>Avx512F.IsSupported</c> and <c>Avx2.IsSupported</c>, and with those instructions
/// by name: compiled ahead of time for any x86-64, <c>Vector256.IsHardwareAccelerated</c> is a constant false and the
/// operators of <see cref="Vector256"/> are made of halves, while what asks for these two by name is left by ReadyToRun to
/// the JIT, which knows the processor. (NativeAOT has no JIT: there it takes 128 bits, unless told of more.)</remarks>
internal static unsafe class PatternXor
{
    internal const int PatternBytes = 512;

    /// <summary>A line of the cache: an aligned pattern is never loaded across two.</summary>
    internal const int Alignment = 64;

    /// <summary>One step of the loop.</summary>
    internal interface ILane
    {
        static abstract bool IsSupported { get; }
        static abstract nuint Bytes { get; }
        static abstract void Xor(byte* source, byte* pattern, byte* destination);
    }

    /// <summary>Where in pinned memory an aligned pattern can begin.</summary>
    internal static int AlignedOffset(byte[] pinned)
    {
        nint address = (nint)Unsafe.AsPointer(ref pinned[0]);
        return (int)(-address & (Alignment - 1));
    }

    internal static void Apply(ReadOnlySpan<byte> source, Span<byte> destination, ReadOnlySpan<byte> pattern)
    {
        if (Avx512F.IsSupported)
            Apply<Lane512>(source, destination, pattern);
        else if (Avx2.IsSupported)
            Apply<Lane256>(source, destination, pattern);
        else
            Apply<Lane128>(source, destination, pattern);
    }

    internal static void Apply<TLane>(ReadOnlySpan<byte> source, Span<byte> destination, ReadOnlySpan<byte> pattern)
        where TLane : struct, ILane
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(destination.Length, source.Length);
        ArgumentOutOfRangeException.ThrowIfNotEqual(pattern.Length, PatternBytes);
        fixed (byte* from = source, to = destination, key = pattern)
        {
            nuint done = Sweep<TLane>(from, key, to, 0, (nuint)source.Length);
            Sweep<Lane8>(from, key, to, done, (nuint)source.Length);
        }
    }

    private static nuint Sweep<TLane>(byte* source, byte* pattern, byte* destination, nuint start, nuint end)
        where TLane : struct, ILane
    {
        nuint i = start;
        for (; i + TLane.Bytes <= end; i += TLane.Bytes)
            TLane.Xor(source + i, pattern + (i & (PatternBytes - 1)), destination + i);
        return i;
    }

    internal readonly struct Lane512 : ILane
    {
        public static bool IsSupported => Avx512F.IsSupported;
        public static nuint Bytes => 64;
        public static void Xor(byte* source, byte* pattern, byte* destination) =>
            Avx512F.Store(destination, Avx512F.Xor(Avx512F.LoadVector512(source), Avx512F.LoadVector512(pattern)));
    }

    internal readonly struct Lane256 : ILane
    {
        public static bool IsSupported => Avx2.IsSupported;
        public static nuint Bytes => 32;
        public static void Xor(byte* source, byte* pattern, byte* destination) =>
            Avx.Store(destination, Avx2.Xor(Avx.LoadVector256(source), Avx.LoadVector256(pattern)));
    }

    /// <summary>SSE2 on x86-64, NEON on arm64: both are always there.</summary>
    internal readonly struct Lane128 : ILane
    {
        public static bool IsSupported => Vector128.IsHardwareAccelerated;
        public static nuint Bytes => 16;
        public static void Xor(byte* source, byte* pattern, byte* destination) =>
            (Vector128.Load(source) ^ Vector128.Load(pattern)).Store(destination);
    }

    /// <summary>A single byte: what is left behind the last vector.</summary>
    internal readonly struct Lane8 : ILane
    {
        public static bool IsSupported => true;
        public static nuint Bytes => 1;
        public static void Xor(byte* source, byte* pattern, byte* destination) =>
            *destination = (byte)(*source ^ *pattern);
    }
}
