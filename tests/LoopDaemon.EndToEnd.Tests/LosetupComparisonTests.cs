using CsCheck;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>The same command lines for losetup and the kernel's devices, and for loopctl and ours, on the same files: the same
/// output, the same messages, the same exit codes, the same devices.</summary>
public sealed class LosetupComparisonTests : IClassFixture<SharedLoopd>, IDisposable
{
    /// <summary>What there is to know of a device, with its name at the end, where its length moves nothing.</summary>
    private const string Everything = "AUTOCLEAR,BACK-FILE,BACK-INO,BACK-MAJ:MIN,MAJ:MIN,OFFSET,PARTSCAN,RO,SIZELIMIT,DIO,LOG-SEC,NAME";

    private readonly Loopd _loopd;
    private readonly Twins _twins;
    private readonly string _file, _other;

    public LosetupComparisonTests(SharedLoopd shared)
    {
        _loopd = shared.Fresh();
        _twins = new Twins(_loopd);
        _file = _loopd.MakeFile("disk.img", 4 << 20);
        _other = _loopd.MakeFile("other.img", 1 << 20);
    }

    public void Dispose() => _twins.Dispose();

    [Theory]
    [InlineData()]
    [InlineData("--show")]
    [InlineData("-r")]
    [InlineData("-r", "--show")]
    [InlineData("-o", "512")]
    [InlineData("--offset=4K", "--sizelimit", "64KiB")]
    [InlineData("--sizelimit", "1.5M")]
    [InlineData("--sizelimit", "8M")]
    [InlineData("-P")]
    [InlineData("-b", "4096")]
    [InlineData("-b0")]
    [InlineData("--direct-io")]
    [InlineData("--direct-io=off")]
    [InlineData("-rPv", "--show", "-b1024", "-o1M")]
    [InlineData("-L", "--show")]
    public void A_bound_device_is_the_same_in_every_form(params string[] options)
    {
        _twins.Compare([.. options, "D", _file]).Succeeded();
        _twins.CompareSizes();
        CompareLists();
        _twins.Compare("-d", "D").Succeeded();
        _twins.Compare("D");
        _twins.Compare("-l", "-O", "NAME", "-j", _file);
    }

    /// <summary>Options in any combination, of which some go together and some do not.</summary>
    [Fact]
    public void Any_setup_makes_the_same_device_or_fails_alike()
    {
        Gen<string[]> option = Gen.OneOf<string[]>(
            ["-r"], ["-P"], ["-v"], ["--show"], ["-L"], ["-o", "0"], ["-o", "4096"], ["-o", "1M"], ["-o", "4M"], ["--sizelimit", "0"], ["--sizelimit", "1M"],
            ["--sizelimit", "1023K"], ["--sizelimit", "1G"], ["-b", "512"], ["-b", "2K"], ["-b", "4096"], ["-o", "8E"], ["--sizelimit", "15E"]);
        option.Array[0, 5].Sample(options =>
        {
            _twins.Detach();
            ShellResult bound = _twins.Compare([.. options.SelectMany(words => words), "D", _file]);
            if (bound.ExitCode == 0)
            {
                _twins.CompareSizes();
                CompareLists();
            }
        }, iter: 12, threads: 1);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(511)]
    [InlineData(512)]
    [InlineData(100_000)]
    public void A_file_of_an_odd_size_gives_the_same_warning(int length)
    {
        string file = _loopd.MakeFile("odd.img", length);
        // Of an offset behind the end losetup has it that the file is very large.
        string[] offset = ["-o", length < 512 ? "0" : "512"];
        foreach (string[] options in (string[][])[[], offset, ["--sizelimit", "700"], ["--sizelimit", "1M", .. offset]])
        {
            _twins.Compare([.. options, "--show", "D", file]);
            _twins.CompareSizes();
            _twins.Compare("-d", "D").Succeeded();
        }
    }

    [Fact]
    public void The_first_free_device_is_found_and_bound()
    {
        _twins.Compare("-f").Succeeded();
        ShellResult kernel = Shell.Run("losetup", "-f", "--show", "-r", "-o", "1K", _file).Succeeded();
        try
        {
            ShellResult ours = _loopd.Control("-f", "--show", "-r", "-o", "1K", _file).Succeeded();
            Assert.Equal(_loopd.Device(0) + "\n", ours.Output);
            Assert.Equal(kernel.Error, ours.Error);
            Assert.Equal(
                Shell.Run("losetup", "-n", "-l", "-O", "RO,OFFSET,BACK-FILE", kernel.Output.Trim()).Output, _loopd.Control("-n", "-l", "-O", "RO,OFFSET,BACK-FILE", "0").Output);
        }
        finally
        {
            Shell.Run("losetup", "-d", kernel.Output.Trim()).Succeeded();
        }
    }

    [Theory]
    [InlineData("-c", "D")]
    [InlineData("-d", "D")]
    [InlineData("-d", "D", "E")]
    [InlineData("-b", "4096", "D")]
    [InlineData("--direct-io", "D")]
    [InlineData("--direct-io=off", "D")]
    [InlineData("D")]
    [InlineData("-J", "D")]
    [InlineData("-l", "-O", Everything, "D")]
    [InlineData("-n", "-l", "-O", "NAME,BACK-FILE", "D")]
    [InlineData("--raw", "-l", "D")]
    [InlineData("-J", "-l", "-O", Everything, "D")]
    public void A_device_that_is_not_bound(params string[] words)
    {
        // It must exist, which an earlier binding sees to.
        foreach (string device in (string[])["D", "E"])
        {
            _twins.Compare(device, _file).Succeeded();
            _twins.Compare("-d", device).Succeeded();
        }
        _twins.Compare(words);
    }

    [Theory]
    [InlineData("-c", "D")]
    [InlineData("-d", "D")]
    [InlineData("-b", "4096", "D")]
    [InlineData("--direct-io", "D")]
    [InlineData("D")]
    [InlineData("-l", "D")]
    [InlineData("-J", "-l", "D")]
    public void A_device_that_does_not_exist(params string[] words)
    {
        ShellResult losetup = Shell.Run("losetup", [.. words.Select(word => word == "D" ? _twins.KernelDevice : word)]);
        ShellResult loopctl = _loopd.Control([.. words.Select(word => word == "D" ? _twins.OurDevice : word)]);
        Assert.Equal((1, ""), (losetup.ExitCode, losetup.Output));
        Assert.Equal((1, ""), (loopctl.ExitCode, loopctl.Output));
        Assert.Equal(losetup.Error.Replace($"losetup: {_twins.KernelDevice}", $"loopctl: {_twins.OurDevice}", StringComparison.Ordinal), loopctl.Error);
    }

    [Fact]
    public void A_device_is_bound_once()
    {
        _twins.Compare("D", _file).Succeeded();
        // Ours adds what the device is bound to.
        _twins.Compare(losetup => losetup with { Error = $"{losetup.Error.TrimEnd()} (loop{_twins.Number} is bound to {_file})\n" }, "D", _other);
        CompareLists();
    }

    [Theory]
    [InlineData("/nonexistent/disk.img")]
    [InlineData("/")]
    public void A_backing_file_that_cannot_be_used(string file)
    {
        _twins.Compare("D", file);
        _twins.Compare("-f", "--show", file);
        _twins.Compare("-L", "D", file);
    }

    [Fact]
    public void Operands_and_options_that_are_not_looked_at()
    {
        _twins.Compare("D", _file, "more", "-v").Succeeded();
        _twins.Compare("-c", "D", "more").Succeeded();
        _twins.Compare("-j", _file, "more").Succeeded();
        _twins.Compare("-l", "-O", "NAME", "-j", _file, "more").Succeeded();
        _twins.Compare("-L", "D").Succeeded();
        _twins.Compare("-d", "D", "-O", "NAME").Succeeded();
    }

    [Fact]
    public void Several_devices_are_detached_and_one_that_cannot_be_holds_up_none()
    {
        _twins.Compare("D", _file).Succeeded();
        _twins.Compare("E", _other).Succeeded();
        _twins.Compare("-d", "D", "E").Succeeded();
        _twins.Compare("E", _other).Succeeded();
        _twins.Compare("-d", "D", "E");
        _twins.Compare("-l", "-O", "NAME", "-j", _other).Succeeded();
    }

    [Fact]
    public void A_device_that_is_open_is_detached_at_its_last_close()
    {
        _twins.Compare("D", _file).Succeeded();
        using (FileDescriptor.Open(_twins.KernelDevice, OpenFlags.ReadOnly))
        using (FileDescriptor.Open(_twins.OurDevice, OpenFlags.ReadOnly))
        {
            _twins.Compare("-d", "D").Succeeded();
            _twins.Compare("-l", "-O", "AUTOCLEAR,NAME", "D").Succeeded();
            CompareLists();
        }
        Loopd.WaitUntil(() => Shell.Run("losetup", _twins.KernelDevice).ExitCode == 1 && _loopd.Control(_twins.OurDevice).ExitCode == 1, "both are gone");
        _twins.Compare("D");
    }

    [Fact]
    public void The_devices_of_a_file_are_found()
    {
        string link = _loopd.File("hard.img"), symbolic = _loopd.File("symbolic.img");
        File.CreateSymbolicLink(symbolic, _file);
        Shell.Run("ln", _file, link).Succeeded();
        _twins.Compare("D", _file).Succeeded();
        _twins.Compare("-o", "1M", "-r", "E", symbolic).Succeeded();
        foreach (string[] narrowed in (string[][])[[], ["-o", "0"], ["-o", "1M"], ["-o", "512"]])
        {
            foreach (string name in (string[])[_file, link, symbolic, _other, "/nonexistent"])
            {
                _twins.CompareUnordered(["-j", name, .. narrowed]);
                _twins.CompareUnordered(["-n", "-O", "OFFSET,NAME", "-j", name, .. narrowed]);
            }
        }
        File.Delete(symbolic);
        File.Delete(link);
    }

    [Fact]
    public void Overlapping_devices_are_avoided_alike()
    {
        _twins.Compare("--sizelimit", "1M", "D", _file).Succeeded();
        _twins.Compare("-L", "E", _file);
        _twins.Compare("-L", "-o", "512K", "E", _file);
        _twins.Compare("-L", "-f", "-o", "512K", _file);
        _twins.Compare("-L", "--sizelimit", "1M", "E", _file);
        // The same part of the file is the same device.
        _twins.Compare("-L", "-f", "--show", "--sizelimit", "1M", _file).Succeeded();
        _twins.Compare("-L", "-r", "-f", "--show", "--sizelimit", "1M", _file).Succeeded();
        _twins.Compare("-L", "--show", "-o", "1M", "E", _file).Succeeded();
        CompareLists();
    }

    [Fact]
    public void A_read_only_device_is_not_used_again_for_writing()
    {
        _twins.Compare("-r", "D", _file).Succeeded();
        _twins.Compare("-L", "-f", "--show", _file);
        _twins.Compare("-L", "-f", "--show", "-r", _file).Succeeded();
        CompareLists();
    }

    [Fact]
    public void Capacity_sector_size_and_direct_IO_change_alike()
    {
        _twins.Compare("D", _file).Succeeded();
        using (FileStream file = File.OpenWrite(_file))
            file.SetLength(3 << 20);
        _twins.Compare("-c", "D").Succeeded();
        _twins.CompareSizes();
        using (FileStream file = File.OpenWrite(_file))
            file.SetLength(6 << 20);
        _twins.Compare("--set-capacity", "D").Succeeded();
        _twins.CompareSizes();
        foreach (string size in (string[])["1024", "4K", "512"])
        {
            _twins.Compare("-b", size, "D").Succeeded();
            _twins.Compare("-l", "-O", "LOG-SEC,NAME", "D").Succeeded();
        }
        foreach (string option in (string[])["--direct-io", "--direct-io=on", "--direct-io=off", "--direct-io=o", "--direct-io="])
        {
            _twins.Compare(option, "D");
            _twins.Compare("-l", "-O", "DIO,NAME", "D").Succeeded();
        }
        CompareLists();
    }

    /// <summary>losetup gives the errno alone.</summary>
    [Theory]
    [InlineData("1000", "1000")]
    [InlineData("256", "256")]
    [InlineData("1M", "1048576")]
    [InlineData("18446744073709551615", "2147483647")]
    public void A_sector_size_that_is_none_is_said_in_more_words(string size, string said)
    {
        ShellResult InMoreWords(ShellResult losetup) => losetup with
        {
            Error = losetup.Error.Replace(": Invalid argument\n", $": a sector size is a power of two from 512 to 4096, not {said}\n", StringComparison.Ordinal),
        };

        _twins.Compare(InMoreWords, "-b", size, "D", _file);
        _twins.Compare("D", _file).Succeeded();
        _twins.Compare(InMoreWords, "-b", size, "D");
    }

    /// <summary>losetup -D would take other people's devices away.</summary>
    [Fact]
    public void All_devices_are_detached_and_removed_where_losetup_cannot_be_asked()
    {
        Assert.Equal(("", "", 0), Printed("-D"));
        _loopd.Bind(_file);
        _loopd.Bind(_other);
        _loopd.Control("12", _file).Succeeded();
        Assert.Equal(("", "", 0), Printed("--detach-all"));
        Assert.Empty(_loopd.List());
        Assert.True(File.Exists(_loopd.Device(12)));
        Assert.Equal(("", "", 0), Printed("--remove", "loop12"));
        Assert.False(File.Exists(_loopd.Device(12)));
        _loopd.Control("12", _file).Succeeded();
        Assert.Equal(("", $"loopctl: {_loopd.Device(12)}: remove failed: Device or resource busy\nloopctl: loop13: failed to use device: No such device\n", 1), Printed("--remove", "loop12", "loop13"));
        Assert.Equal(("", $"loopctl: {_loopd.Device(3)}: remove failed: loop3 is one of the 8 devices that always exist (loopd --max-loop)\n", 1), Printed("--remove", "3"));
    }

    [Fact]
    public void A_full_disk_fails_alike()
    {
        _twins.Compare("D", _file).Succeeded();
        Assert.Equal(
            Shell.Run("bash", "-c", $"losetup -l {_twins.KernelDevice} > /dev/full").Error.Replace("losetup", "loopctl", StringComparison.Ordinal),
            Shell.Run("bash", "-c", $"{Loopd.ControlProgram} --control {_loopd.Socket} -l {_twins.OurDevice} > /dev/full").Error);
    }

    /// <summary>Our first device in every form that losetup prints.</summary>
    private void CompareLists()
    {
        _twins.Compare("D").Succeeded();
        _twins.Compare("-l", "-O", Everything, "D").Succeeded();
        _twins.Compare("--raw", "-l", "D").Succeeded();
        _twins.Compare("-Jl", "-O" + Everything, "D").Succeeded();
        _twins.CompareUnordered("-n", "-O", "SIZELIMIT,OFFSET,NAME", "-j", _file);
    }

    private (string, string, int) Printed(params string[] words)
    {
        ShellResult result = _loopd.Control(words);
        return (result.Output, result.Error, result.ExitCode);
    }
}
