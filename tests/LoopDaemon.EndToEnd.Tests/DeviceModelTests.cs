using CsCheck;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>Random operations on a device's file, through the page cache and past it, against an array of bytes.</summary>
public sealed class DeviceModelTests
{
    private const int Samples = 100;
    private const int StepsEach = 120;
    private const int Bytes = 200 * 512;

    private static readonly Gen<int> GenPosition = Gen.Frequency(
        (1, Gen.Int[0, Bytes]),
        // At, just before and just behind the edge of a sector or a page.
        (2, Gen.Select(Gen.Int[0, Bytes / 512], Gen.Int[-2, 2], (sector, nudge) => Math.Clamp(sector * 512 + nudge, 0, Bytes))),
        (1, Gen.Select(Gen.Int[0, Bytes / 4096], Gen.Int[-2, 2], (page, nudge) => Math.Clamp(page * 4096 + nudge, 0, Bytes))));

    private static readonly Gen<Step> GenStep = Gen.Select(
        Gen.Frequency((8, Gen.Const(Operation.Write)), (8, Gen.Const(Operation.Read)), (2, Gen.Const(Operation.Punch)),
            (2, Gen.Const(Operation.ZeroRange)), (1, Gen.Const(Operation.Synchronize)), (3, Gen.Const(Operation.Close))),
        Gen.Bool, GenPosition, GenPosition, Gen.Int,
        (operation, direct, one, other, seed) => new Step(operation, direct, Math.Min(one, other), Math.Abs(one - other), seed));

    private enum Operation
    {
        Read,
        Write,
        Punch,
        ZeroRange,
        Synchronize,

        /// <summary>The next operation this way opens the file again.</summary>
        Close,
    }

    [Theory]
    [InlineData("identity")]
    [InlineData("xor")]
    [InlineData("xor, xor")]
    [InlineData("xor with discards")]
    public void A_device_behaves_as_an_array_of_bytes(string stackName)
    {
        using var loopd = new Loopd();
        TransferStack stack = TransferStack.Make(loopd, stackName);
        string image = loopd.MakeFile("disk.img", stack.Encode(new byte[Bytes]));
        string device = loopd.Bind([.. stack.Arguments, image]);
        GenStep.Array[StepsEach].Sample(steps => Run(steps, device, image, stack), iter: Samples, threads: 1);
    }

    private static void Run(Step[] steps, string device, string image, TransferStack stack)
    {
        byte[] model = new byte[Bytes];
        using (FileDescriptor file = FileDescriptor.Open(device, OpenFlags.ReadWrite))
            Assert.Equal(Errno.None, file.WriteAt(0, model));
        FileDescriptor?[] files = [null, null];
        try
        {
            foreach (Step step in steps)
            {
                ref FileDescriptor? file = ref files[step.Direct ? 1 : 0];
                file ??= FileDescriptor.Open(device, OpenFlags.ReadWrite | (step.Direct ? FileDescriptor.Direct : 0));
                if (step.Operation == Operation.Close)
                {
                    file.Dispose();
                    file = null;
                }
                else
                {
                    Apply(step, file, model, stack.Discards);
                }
            }
        }
        finally
        {
            files[0]?.Dispose();
            files[1]?.Dispose();
        }
        Assert.Equal(model, File.ReadAllBytes(device));
        Assert.Equal(model, stack.Decode(File.ReadAllBytes(image)));
    }

    private static void Apply(Step step, FileDescriptor file, byte[] model, bool discards)
    {
        Span<byte> range = model.AsSpan(step.Offset, step.Length);
        switch (step.Operation)
        {
            case Operation.Read:
                byte[] read = new byte[step.Length];
                Assert.Equal(Errno.None, file.ReadAt(step.Offset, read, out int count));
                Assert.Equal(step.Length, count);
                Assert.Equal(range.ToArray(), read);
                break;
            case Operation.Write:
                byte[] data = new byte[step.Length];
                new Random(step.Seed).NextBytes(data);
                Assert.Equal(Errno.None, file.WriteAt(step.Offset, data));
                data.CopyTo(range);
                break;
            case Operation.Synchronize:
                Assert.Equal(Errno.None, file.Synchronize(dataOnly: step.Seed % 2 == 0));
                break;
            // fallocate(2) takes no empty range.
            case Operation.Punch when step.Length > 0:
                Assert.Equal(discards ? Errno.None : Errno.EOPNOTSUPP, file.Allocate(AllocateMode.PunchHole | AllocateMode.KeepSize, step.Offset, step.Length));
                if (discards)
                    range.Clear();
                break;
            case Operation.ZeroRange when step.Length > 0:
                Assert.Equal(Errno.None, file.Allocate(AllocateMode.ZeroRange | AllocateMode.KeepSize, step.Offset, step.Length));
                range.Clear();
                break;
        }
    }

    private sealed record Step(Operation Operation, bool Direct, int Offset, int Length, int Seed);
}
