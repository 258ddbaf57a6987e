using CsCheck;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>Any sequence of control operations, opens and closes, on a daemon and on a model of the driver's state: each has the
/// same result, and in the end the same devices are there, bound to the same.</summary>
public sealed class ControlModelTests(SharedLoopd shared) : IClassFixture<SharedLoopd>
{
    private const int Samples = 60;
    private const int StepsEach = 80;
    private const int MaxLoop = 8;
    private const int HighestDevice = 11;
    private const int Files = 3;

    private static readonly Gen<Step> GenStep = Gen.Select(
        Gen.Frequency(
            (4, Gen.Const(Operation.Configure)), (4, Gen.Const(Operation.ConfigureFree)), (4, Gen.Const(Operation.Clear)),
            (3, Gen.Const(Operation.SetStatus)), (2, Gen.Const(Operation.SetCapacity)), (2, Gen.Const(Operation.SetSectorSize)),
            (2, Gen.Const(Operation.Add)), (3, Gen.Const(Operation.Remove)), (1, Gen.Const(Operation.GetFree)),
            (4, Gen.Const(Operation.Open)), (4, Gen.Const(Operation.Close)), (1, Gen.Const(Operation.ResizeFile)),
            (1, Gen.Const(Operation.ChangeBackingFile))),
        Gen.Int[0, HighestDevice], Gen.Int[0, Files - 1], Gen.Bool, Gen.Bool, Gen.Int[0, 20],
        (operation, device, file, flag, other, number) => new Step(operation, device, file, flag, other, number));

    private readonly Loopd _loopd = shared.Fresh();

    private enum Operation
    {
        Configure,
        ConfigureFree,
        Clear,
        SetStatus,
        SetCapacity,
        SetSectorSize,
        Add,
        Remove,
        GetFree,
        Open,
        Close,
        ResizeFile,
        ChangeBackingFile,
    }

    [Fact]
    public void Every_sequence_of_operations_does_what_the_driver_would_do() =>
        GenStep.Array[StepsEach].Sample(Run, iter: Samples, threads: 1);

    private void Run(Step[] steps)
    {
        shared.Fresh();
        using var client = _loopd.Connect();
        var model = new Model();
        var opened = new Stack<FileDescriptor>[HighestDevice + 1];
        for (int i = 0; i <= HighestDevice; i++)
            opened[i] = new();
        for (int i = 0; i < Files; i++)
            _loopd.MakeSparseFile($"{i}.img", Model.FirstLength);
        try
        {
            foreach (Step step in steps)
                Assert.Equal((step, model.Apply(step)), (step, Apply(step, client, opened)));
            AssertSame(model, client);
        }
        finally
        {
            foreach (FileDescriptor file in opened.SelectMany(files => files))
                file.Dispose();
        }
    }

    /// <summary>Does it for real.</summary>
    /// <returns>What came of it, as the model words it.</returns>
    private string Apply(Step step, ControlClient client, Stack<FileDescriptor>[] opened)
    {
        try
        {
            return step.Operation switch
            {
                Operation.Configure => Told(Configure(step, client, step.Device)),
                Operation.ConfigureFree => Told(Configure(step, client, null)),
                Operation.Clear => $"deferred {client.Clear(step.Device).Deferred}",
                Operation.SetStatus => $"size {client.SetStatus(step.Device, Change(step)).Size}",
                Operation.SetCapacity => $"size {client.SetCapacity(step.Device).Size}",
                Operation.SetSectorSize => $"size {client.SetSectorSize(step.Device, SectorSize(step)).Size}",
                Operation.Add => $"device {client.Add(step.Flag ? step.Device : null).Device}",
                Operation.Remove => Removed(client, step.Device),
                Operation.GetFree => $"device {client.GetFree().Device}",
                Operation.Open => Open(step, opened),
                Operation.Close => Close(step, client, opened),
                Operation.ResizeFile => Resize(step),
                _ => ChangeBackingFile(step, client),
            };
        }
        catch (ControlException refused)
        {
            return refused.Errno.ToString();
        }
    }

    private static string Told(ConfigureReply reply) => $"device {reply.Device}, size {reply.Size}, read-only {reply.ReadOnly}";

    private static long Offset(Step step) => step.Number * 1000;

    private static int SectorSize(Step step) => 256 << (step.Number % 6);

    private static long Length(Step step) => 10_000 + step.Number * 700;

    private static StatusChange Change(Step step) => step.Other
        ? new StatusChange { Autoclear = step.Flag } : new StatusChange { Offset = Offset(step) };

    private ConfigureReply Configure(Step step, ControlClient client, int? device) => client.Configure(
        _loopd.File($"{step.File}.img"),
        request => request with { Device = device, ReadOnly = step.Flag, Autoclear = step.Other, Offset = Offset(step) });

    private static string Removed(ControlClient client, int device)
    {
        client.Remove(device);
        return "removed";
    }

    private string Open(Step step, Stack<FileDescriptor>[] opened)
    {
        Errno error = FileDescriptor.TryOpen(
            _loopd.Device(step.Device), step.Flag ? OpenFlags.ReadWrite : OpenFlags.ReadOnly, out FileDescriptor? file);
        if (file is not null)
            opened[step.Device].Push(file);
        return error.ToString();
    }

    /// <summary>close(2) returns before the daemon is told.</summary>
    private static string Close(Step step, ControlClient client, Stack<FileDescriptor>[] opened)
    {
        if (!opened[step.Device].TryPop(out FileDescriptor? file))
            return "none open";
        file.Dispose();
        Loopd.WaitUntil(() => Openers(client, step.Device) <= opened[step.Device].Count, "the daemon is told of the close");
        return "closed";
    }

    private static int Openers(ControlClient client, int device) =>
        client.List().FirstOrDefault(status => status.Device == device)?.Openers ?? 0;

    private string Resize(Step step)
    {
        using FileDescriptor file = FileDescriptor.Open(_loopd.File($"{step.File}.img"), OpenFlags.ReadWrite);
        return file.SetLength(Length(step)).ToString();
    }

    private string ChangeBackingFile(Step step, ControlClient client)
    {
        using FileDescriptor file = FileDescriptor.Open(_loopd.File($"{step.File}.img"), OpenFlags.ReadOnly);
        client.ChangeBackingFile(step.Device, file);
        return "changed";
    }

    private void AssertSame(Model model, ControlClient client)
    {
        Assert.Equal(
            model.Bound().Select(bound => (bound.Number, _loopd.File($"{bound.File}.img"), bound.Offset, bound.Size, bound.ReadOnly, bound.Autoclear, bound.SectorSize, bound.Openers)),
            client.List().Select(status => (status.Device, status.BackingFile, status.Offset, status.Size, status.ReadOnly, status.Autoclear, status.SectorSize, status.Openers)));
        Assert.Equal(
            model.Existing().Select(number => $"loop{number}").Order(),
            Directory.GetFiles(_loopd.Mount).Select(path => Path.GetFileName(path)).Order());
    }

    private sealed record Step(Operation Operation, int Device, int File, bool Flag, bool Other, int Number);

    /// <summary>The driver's state and rules, as simply as they can be written.</summary>
    private sealed class Model
    {
        internal const long FirstLength = 20_000;

        private readonly SortedDictionary<int, Device> _devices = [];
        private readonly long[] _lengths = [.. Enumerable.Repeat(FirstLength, Files)];

        internal Model()
        {
            for (int i = 0; i < MaxLoop; i++)
                _devices[i] = new Device(i);
        }

        internal IEnumerable<Device> Bound() => _devices.Values.Where(device => device.IsBound);

        internal int[] Existing() => [.. _devices.Keys];

        internal string Apply(Step step)
        {
            Device? device = _devices.GetValueOrDefault(step.Device);
            return step.Operation switch
            {
                Operation.Configure => Configure(device ?? New(step.Device), step),
                Operation.ConfigureFree => Configure(Free(), step),
                Operation.GetFree => $"device {Free().Number}",
                Operation.Add => Add(step),
                Operation.ResizeFile => Resize(step),
                Operation.Open => Open(device, step),
                Operation.Close => Close(device),
                _ when device is null => nameof(Errno.ENODEV),
                Operation.Remove => Remove(device),
                _ when !device.IsBound => nameof(Errno.ENXIO),
                Operation.Clear => Clear(device),
                Operation.SetStatus => SetStatus(device, step),
                Operation.SetCapacity => Sized(device),
                Operation.SetSectorSize => SetSectorSize(device, step),
                _ => ChangeBackingFile(device, step),
            };
        }

        private Device New(int number) => _devices[number] = new Device(number);

        private Device Free() => _devices.Values.FirstOrDefault(device => !device.IsBound) ?? New(FirstGap());

        private int FirstGap() => Enumerable.Range(0, int.MaxValue).First(number => !_devices.ContainsKey(number));

        private string Configure(Device device, Step step)
        {
            if (device.IsBound)
                return nameof(Errno.EBUSY);
            device.IsBound = true;
            (device.File, device.Offset, device.ReadOnly, device.Autoclear, device.SectorSize) = (step.File, Offset(step), step.Flag, step.Other, 512);
            Sized(device);
            return $"device {device.Number}, size {device.Size}, read-only {device.ReadOnly}";
        }

        private string Add(Step step)
        {
            if (!step.Flag)
                return $"device {New(FirstGap()).Number}";
            return _devices.ContainsKey(step.Device) ? nameof(Errno.EEXIST) : $"device {New(step.Device).Number}";
        }

        private string Remove(Device device)
        {
            if (device.IsBound)
                return nameof(Errno.EBUSY);
            if (device.Number < MaxLoop)
                return nameof(Errno.EPERM);
            _devices.Remove(device.Number);
            return "removed";
        }

        private static string Clear(Device device)
        {
            if (device.Openers == 0)
                device.Unbind();
            else
                device.Autoclear = true;
            return $"deferred {device.Openers > 0}";
        }

        private static string SetStatus(Device device, Step step)
        {
            if (step.Other)
            {
                device.Autoclear = step.Flag;
                return $"size {device.Size}";
            }
            if (device.Openers > 0 && device.Offset != Offset(step))
                return nameof(Errno.EAGAIN);
            // The length of the file is not asked for anew.
            device.Offset = Offset(step);
            device.Resize();
            return $"size {device.Size}";
        }

        private string Sized(Device device)
        {
            device.FileLength = _lengths[device.File];
            device.Resize();
            return $"size {device.Size}";
        }

        private static string SetSectorSize(Device device, Step step)
        {
            int size = SectorSize(step);
            if (size is < 512 or > 4096)
                return nameof(Errno.EINVAL);
            if (device.Openers > 0 && size != device.SectorSize)
                return nameof(Errno.EBUSY);
            device.SectorSize = size;
            return $"size {device.Size}";
        }

        private string ChangeBackingFile(Device device, Step step)
        {
            var other = new Device(device.Number) { Offset = device.Offset, FileLength = _lengths[step.File] };
            other.Resize();
            if (!device.ReadOnly || other.Size != device.Size)
                return nameof(Errno.EINVAL);
            device.File = step.File;
            Sized(device);
            return "changed";
        }

        private static string Open(Device? device, Step step)
        {
            if (device is null)
                return nameof(Errno.ENOENT);
            if (!device.IsBound)
                return nameof(Errno.ENXIO);
            if (step.Flag && device.ReadOnly)
                return nameof(Errno.EROFS);
            device.Openers++;
            return nameof(Errno.None);
        }

        private static string Close(Device? device)
        {
            if (device is not { Openers: > 0 })
                return "none open";
            if (--device.Openers == 0 && device.Autoclear)
                device.Unbind();
            return "closed";
        }

        private string Resize(Step step)
        {
            _lengths[step.File] = Length(step);
            return nameof(Errno.None);
        }
    }

    private sealed class Device(int number)
    {
        internal int Number => number;
        internal bool IsBound { get; set; }
        internal int File { get; set; }
        internal long FileLength { get; set; }
        internal long Offset { get; set; }
        internal long Size { get; private set; }
        internal bool ReadOnly { get; set; }
        internal bool Autoclear { get; set; }
        internal int SectorSize { get; set; }
        internal int Openers { get; set; }

        internal void Resize() => Size = Math.Max(0, FileLength - Offset) / 512 * 512;

        internal void Unbind() => (IsBound, Autoclear) = (false, false);
    }
}
