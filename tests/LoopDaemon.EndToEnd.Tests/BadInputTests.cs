using System.Net.Sockets;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>What loopctl is told that cannot be: one sentence, exit code 1, and nothing bound.</summary>
public sealed class BadInputTests(SharedLoopd shared) : IClassFixture<SharedLoopd>
{
    private readonly Loopd _loopd = shared.Fresh();

    [Theory]
    [InlineData("no such.img")]
    [InlineData("no such directory/disk.img")]
    [InlineData("")]
    public void A_missing_backing_file(string name)
    {
        string path = name.Length > 0 ? _loopd.File(name) : "";
        Refused(["-f", "--show", path], $"{path}: ", "No such file or directory");
        Refused(["loop1", path], $"{path}: ", "No such file or directory");
        Assert.False(File.Exists(path));
    }

    [Fact]
    public void A_path_through_a_file()
    {
        string path = _loopd.MakeFile("file", 512) + "/disk.img";
        Refused(["-f", path], $"{path}: ", "Not a directory");
    }

    /// <summary>losetup says of it whatever error the C library met last.</summary>
    [Fact]
    public void An_empty_name_as_backing_file() => Refused(["-f", ""], "failed to use backing file: No such file or directory");

    [Fact]
    public void A_directory_as_backing_file() => Refused(["-f", _loopd.Directory], _loopd.Directory, "Is a directory");

    [Fact]
    public void A_FIFO_as_backing_file_is_refused_without_waiting_for_its_writer()
    {
        string path = _loopd.File("fifo");
        Assert.Equal(Errno.None, SystemCall.MakeFifo(path));
        Refused(["-f", path], path, "is a FIFO");
        File.Delete(path);
    }

    [Fact]
    public void A_character_device_as_backing_file() => Refused(["-f", "/dev/zero"], "/dev/zero", "is a character device");

    [Fact]
    public void A_socket_as_backing_file() => Refused(["-f", _loopd.Socket], _loopd.Socket, "is a socket");

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(511)]
    public void A_file_below_one_sector_is_bound_with_capacity_0_and_a_warning(int length)
    {
        string path = _loopd.MakeFile("small.img", length);
        ShellResult bound = _loopd.Control("-f", "--show", path).Succeeded();
        Assert.Equal(_loopd.Device(0) + "\n", bound.Output);
        Assert.Equal($"loopctl: {path}: Warning: file is smaller than 512 bytes; the loop device may be useless or invisible for system tools.\n", bound.Error);
        Assert.Equal(0, Assert.Single(_loopd.List()).Size);
        Assert.Equal("", Shell.Run("cat", _loopd.Device(0)).Succeeded().Output);
    }

    [Fact]
    public void A_file_that_ends_within_a_sector_loses_its_end_with_a_warning()
    {
        string path = _loopd.MakeFile("odd.img", 1000);
        ShellResult bound = _loopd.Control("-f", path).Succeeded();
        Assert.Equal("", bound.Output);
        Assert.Equal($"loopctl: {path}: Warning: file does not fit into a 512-byte sector; the end of the file will be ignored.\n", bound.Error);
        Assert.Equal(512, Assert.Single(_loopd.List()).Size);
    }

    [Fact]
    public void An_unknown_transfer_is_answered_with_the_known_ones() =>
        Refused(["-f", Image(), "-e", "rot13"], "there is no transfer rot13", "identity", "xor");

    [Fact]
    public void A_mistyped_transfer_is_guessed() =>
        Refused(["-f", Image(), "-e", "xro"], "there is no transfer xro", "did you mean xor?");

    [Fact]
    public void An_unknown_transfer_number() => Refused(["-f", Image(), "-e", "19"], "there is no transfer 19");

    [Theory]
    [InlineData("")]
    [InlineData(":key-file=x")]
    public void A_transfer_without_a_name(string text) => Refused(["-f", Image(), "-e", text], "names no transfer");

    [Fact]
    public void Xor_without_a_key() => Refused(["-f", Image(), "-e", "xor"], "transfer xor needs a key", "--key-file");

    [Fact]
    public void An_empty_key() =>
        Refused(["-f", Image(), "-e", "xor", "--key-file", _loopd.MakeFile("empty.key", 0)], "the key for transfer xor is empty");

    [Fact]
    public void No_key_on_standard_input() =>
        Refused(["-f", Image(), "-e", "xor", "--key-file", "-"], "the key for transfer xor is empty");

    [Theory]
    [InlineData("missing.key", "No such file or directory")]
    [InlineData("missing/disk.key", "No such file or directory")]
    [InlineData(".", "Is a directory")]
    [InlineData("disk.img/key", "Not a directory")]
    public void A_key_file_that_cannot_be_read(string name, string reason)
    {
        string image = Image(), key = _loopd.File(name);
        Refused(["-f", image, "-e", "xor", "--key-file", key], $"{key}: cannot read the key: {reason}");
        Refused(["-f", image, "-e", $"xor:key-file={key}"], $"{key}: cannot read the key: {reason}");
    }

    [Fact]
    public void A_key_file_without_a_name()
    {
        string image = Image();
        Refused(["-f", image, "-e", "xor", "--key-file", ""], "cannot read the key: No such file or directory");
        Refused(["-f", image, "-e", "xor:key-file="], "cannot read the key: No such file or directory");
    }

    [Fact]
    public void A_key_of_64_KiB_is_taken_and_a_longer_one_is_not()
    {
        string image = Image();
        string longest = _loopd.MakeFile("longest.key", 64 << 10), tooLong = _loopd.MakeFile("long.key", (64 << 10) + 1);
        Refused(["-f", image, "-e", "xor", "--key-file", tooLong], $"{tooLong}: a key is at most 65536 bytes long");
        Refused(["-f", image, "-e", "xor", "--key-file", "/dev/zero"], "/dev/zero: a key is at most 65536 bytes long");
        _loopd.Bind(image, "-e", "xor", "--key-file", longest);
    }

    [Fact]
    public void A_key_file_without_a_transfer() =>
        Refused(["-f", Image(), "--key-file", Key()], "--key-file needs a transfer: give one with -e");

    [Fact]
    public void One_key_file_for_two_transfers() => Refused(
        ["-f", Image(), "-e", "xor", "-e", "xor", "--key-file", Key()], "give each its own with -e NAME:key-file=FILE");

    [Fact]
    public void Two_key_files_for_one_transfer() => Refused(
        ["-f", Image(), "-e", $"xor:key-file={Key()}", "--key-file", Key()], "has a key file of its own");

    [Theory]
    [InlineData("identity")]
    [InlineData("none")]
    [InlineData("0")]
    public void A_key_for_the_identity(string name) =>
        Refused(["-f", Image(), "-e", name, "--key-file", Key()], "transfer identity takes no key");

    [Fact]
    public void An_option_that_the_transfer_does_not_have() =>
        Refused(["-f", Image(), "-e", $"xor:rounds=3,key-file={Key()}"], "transfer xor has no option rounds");

    [Theory]
    [InlineData("xor:rounds", "'rounds' in 'xor:rounds' is not of the form OPTION=VALUE")]
    [InlineData("xor:=3", "'=3' in 'xor:=3' is not of the form OPTION=VALUE")]
    [InlineData("xor:key-file=a,key-file=b", "gives key-file twice")]
    public void An_option_without_a_form(string text, string sentence) => Refused(["-f", Image(), "-e", text], sentence);

    [Fact]
    public void Sectors_counted_from_somewhere_else() =>
        Refused(["-f", Image(), "--sectors-from", "mars"], "--sectors-from must be file or offset, not 'mars'");

    [Theory]
    [InlineData("1M")]
    [InlineData("1048577")]
    [InlineData("7E")]
    public void An_offset_past_the_end_gives_a_device_without_capacity_and_a_warning(string offset)
    {
        string path = Image();
        ShellResult bound = _loopd.Control("-f", path, "-o", offset).Succeeded();
        Assert.StartsWith($"loopctl: {path}: Warning: file is smaller than 512 bytes;", bound.Error, StringComparison.Ordinal);
        Assert.Equal(0, Assert.Single(_loopd.List()).Size);
    }

    [Theory]
    [InlineData("-o", "offset", "-5", "Invalid argument")]
    [InlineData("-o", "offset", "ten", "Invalid argument")]
    [InlineData("-o", "offset", "", "Invalid argument")]
    [InlineData("--offset", "offset", "1Z", "Numerical result out of range")]
    [InlineData("--sizelimit", "size", "1.5", "Invalid argument")]
    [InlineData("--sizelimit", "size", "18446744073709551616", "Numerical result out of range")]
    public void A_size_that_is_no_number(string option, string what, string text, string reason) =>
        Refused(["-f", Image(), option, text], $"failed to parse {what}: '{text}': {reason}");

    [Fact]
    public void An_offset_within_a_sector_with_a_transfer()
    {
        string path = Image();
        Refused(["-f", path, "-o", "100", "-e", "xor", "--key-file", Key()],
            $"{path}: failed to set up loop device: offset 100 is not a multiple of 512, which transfer xor needs");
    }

    [Fact]
    public void A_device_out_of_range()
    {
        string path = Image();
        Refused(["loop65536", path], "there can be no device loop65536: numbers are 0 to 65535");
        Refused(["-d", "loop8"], "loop8: failed to use device: No such device");
        Refused(["loop8"], "loop8: failed to use device: No such device");
        Refused(["99999999999", path], "99999999999: failed to use device: No such device");
    }

    [Theory]
    [InlineData("loop")]
    [InlineData("loop-1")]
    [InlineData("loop+1")]
    [InlineData("loop1p1")]
    [InlineData("LOOP1")]
    [InlineData("loop 1")]
    [InlineData("")]
    public void A_name_that_is_no_devices(string name)
    {
        Refused([name, Image()], $"{name}: failed to use device: No such device");
        Refused(["-d", name], $"{name}: failed to use device: No such device");
    }

    [Fact]
    public void A_busy_device_is_said_with_its_file()
    {
        string first = Image(), second = _loopd.MakeFile("second.img", 512);
        _loopd.Control("loop3", first).Succeeded();
        _loopd.Control("loop3", second).Refused($"{second}: failed to set up loop device: Device or resource busy", $"loop3 is bound to {first}");
        Assert.Equal(first, Assert.Single(_loopd.List()).BackingFile);
    }

    [Fact]
    public void With_all_devices_bound_another_one_is_made()
    {
        string path = Image();
        for (int i = 0; i < 8; i++)
            _loopd.Control("-f", path).Succeeded();
        Assert.Equal(_loopd.Device(8), _loopd.Control("-f").Succeeded().Output.Trim());
        Assert.Equal(_loopd.Device(8), _loopd.Bind(path));
        Assert.Equal(9, _loopd.List().Count);
    }

    [Theory]
    [InlineData("detach failed: No such device or address", "-d", "loop2")]
    [InlineData("set capacity failed: No such device or address", "-c", "loop2")]
    [InlineData("set direct io failed: No such device or address", "--direct-io=off", "loop2")]
    [InlineData("No such file or directory", "-J", "loop2")]
    [InlineData("No such file or directory", "loop2")]
    public void A_device_that_is_not_bound(string reason, params string[] arguments) => Refused(arguments, $"{_loopd.Device(2)}: {reason}");

    [Fact]
    public void The_kernels_devices_are_left_to_losetup()
    {
        Refused(["-d", "/dev/loop0"], "/dev/loop0", "it is not a device of loopd; for the kernel's own use losetup");
        Refused(["/dev/loop0"], "/dev/loop0", "it is not a device of loopd; for the kernel's own use losetup");
        Refused(["/dev/loop0", Image()], "/dev/loop0", "it is not a device of loopd; for the kernel's own use losetup");
    }

    [Fact]
    public void A_path_of_another_file()
    {
        string image = Image(), other = _loopd.MakeFile("loop0", 512);
        _loopd.Control("loop0", image).Succeeded();
        _loopd.Control("-d", other).Refused($"{other}: failed to use device: it is not a device of loopd");
        _loopd.Control("-d", image).Refused($"{image}: failed to use device: No such device");
        Assert.Single(_loopd.List());
    }

    [Fact]
    public void Clearing_goes_on_after_a_device_that_cannot_be_cleared()
    {
        string image = Image();
        _loopd.Control("loop1", image).Succeeded();
        _loopd.Control("loop4", image).Succeeded();
        ShellResult cleared = _loopd.Control("-d", "loop1", "loop2", "/dev/loop0", "nonsense", "loop4");
        Assert.Equal(1, cleared.ExitCode);
        string[] lines = cleared.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(3, lines.Length);
        Assert.StartsWith($"loopctl: {_loopd.Device(2)}: detach failed: ", lines[0], StringComparison.Ordinal);
        Assert.StartsWith("loopctl: /dev/loop0: ", lines[1], StringComparison.Ordinal);
        Assert.StartsWith("loopctl: nonsense: ", lines[2], StringComparison.Ordinal);
        Assert.Empty(_loopd.List());
    }

    [Theory]
    [InlineData("-f", "-d")]
    [InlineData("-f", "-a")]
    [InlineData("-a", "-d")]
    public void Options_that_exclude_each_other(string one, string other) =>
        Refused([one, other, "loop0"], "mutually exclusive arguments: --detach-all --all --set-capacity --detach --find --associated");

    [Theory]
    [InlineData("-f", "-l")]
    [InlineData("-D", "-l")]
    [InlineData("-dloop0", "--list")]
    public void Listing_and_changing_at_once(string one, string other) => Refused([one, other], "mutually exclusive arguments");

    [Theory]
    [InlineData("--read-only", "loop0")]
    [InlineData("-f", "--show")]
    [InlineData("--sizelimit", "512", "loop0")]
    [InlineData("-e", "identity", "loop0")]
    [InlineData("--allow-discards", "loop0")]
    [InlineData("-p", "0", "loop0")]
    [InlineData("-P", "-l")]
    [InlineData("-d", "loop0", "-r")]
    public void Options_for_binding_alone_without_a_file(params string[] arguments) =>
        Refused(arguments, "are allowed during loop device setup only");

    [Theory]
    [InlineData("--show")]
    [InlineData("-r")]
    [InlineData("-e", "identity")]
    [InlineData("-o", "512")]
    public void Options_for_binding_alone(params string[] arguments) => Refused(arguments, "no loop device specified");

    [Fact]
    public void An_offset_without_a_file() => Refused(["-o", "512", "loop0"], "the option --offset is not allowed in this context");

    [Theory]
    [InlineData("--nope", "--nope")]
    [InlineData("'x'", "-x")]
    [InlineData("--sow", "-f", "--sow", "disk.img")]
    [InlineData("--readonly", "-f", "--readonly")]
    [InlineData("--mfks", "mount", "--mfks", "ext4", "disk.img", "dir")]
    [InlineData("--lazy", "umount", "--lazy", "dir")]
    [InlineData("--all", "transfers", "--all")]
    public void An_unknown_option_is_named(string option, params string[] arguments)
    {
        _loopd.Control(arguments).RefusedUsage(option);
        Assert.Empty(_loopd.List());
    }

    [Fact]
    public void A_file_whose_name_begins_with_a_dash_comes_behind_two()
    {
        string path = _loopd.MakeFile("--image", 512);
        ShellResult bound = Shell.Run("bash", "-c", $"cd '{_loopd.Directory}' && '{Loopd.ControlProgram}' --control '{_loopd.Socket}' -f --show -- --image");
        Assert.Equal(_loopd.Device(0) + "\n", bound.Succeeded().Output);
        Assert.Equal(path, Assert.Single(_loopd.List()).BackingFile);
    }

    [Theory]
    [InlineData("-o")]
    [InlineData("-e")]
    [InlineData("--key-file")]
    [InlineData("--sizelimit")]
    public void An_option_without_its_argument(string option)
    {
        string image = Image();
        _loopd.Control("-f", image, option).RefusedUsage(option.TrimStart('-'), "requires an argument");
        _loopd.Control("-f", image, option, "0", option).RefusedUsage(option.TrimStart('-'), "requires an argument");
        Assert.Empty(_loopd.List());
    }

    [Theory]
    [InlineData("mnt", "mnt")]
    [InlineData("mnt", "mnt", "disk.img", "dir")]
    [InlineData("mnt", "mnt", "disk.img")]
    [InlineData("unexpected arguments", "-f", "one.img", "two.img")]
    [InlineData("detach", "detach", "loop0")]
    public void An_operand_that_is_not_wanted_is_named(string unwanted, params string[] arguments) => Refused(arguments, unwanted);

    [Theory]
    [InlineData("mount")]
    [InlineData("mount", "disk.img")]
    [InlineData("umount")]
    [InlineData("info")]
    [InlineData("wait")]
    public void A_verb_without_its_operands(params string[] arguments) => Refused(arguments);

    /// <summary>"@file" stands for the lines of a file with some command lines; here it is a file like any other.</summary>
    [Fact]
    public void A_name_that_begins_with_an_at_sign_is_a_name()
    {
        string image = Image(), response = _loopd.File("response");
        File.WriteAllText(response, $"-f {image}\n");
        ShellResult refused = Shell.Run("bash", "-c",
            $"cd '{_loopd.Directory}' && exec '{Loopd.ControlProgram}' --control '{_loopd.Socket}' -f @response");
        refused.Refused("@response: ", "No such file or directory");
        Assert.Empty(_loopd.List());
    }

    [Fact]
    public void No_daemon_on_a_chosen_socket()
    {
        string socket = _loopd.File("nobody"), image = Image();
        foreach (string[] arguments in (string[][])[["-f", image], ["-f"], ["-l"], ["-d", "loop0"], ["transfers"]])
            Shell.Run(Loopd.ControlProgram, ["--control", socket, .. arguments]).Refused($"no daemon answers on {socket}", $"loopd --control {socket}");
        Shell.Run(Shell.DefaultTimeout, Loopd.ControlProgram, ["-l"], new Dictionary<string, string> { ["LOOPD_CONTROL"] = socket })
            .Refused($"no daemon answers on {socket}");
        Assert.False(File.Exists(socket));
    }

    [Fact]
    public void A_socket_that_nobody_listens_on_any_more()
    {
        string socket = _loopd.File("stale");
        using (var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            // .NET removes the name with the socket: moved, it stays.
            listener.Bind(new UnixDomainSocketEndPoint(socket + ".bound"));
            File.Move(socket + ".bound", socket);
        }
        Shell.Run(Loopd.ControlProgram, "--control", socket, "-l").Refused($"no daemon answers on {socket}");
        File.Delete(socket);
    }

    [Fact]
    public void A_control_socket_that_is_none()
    {
        string image = Image();
        Shell.Run(Loopd.ControlProgram, "--control", image, "-l").Refused(image);
        Shell.Run(Loopd.ControlProgram, "--control", "", "-l").Refused("--control must name a socket");
        string tooLong = _loopd.File(new string('x', 120));
        Shell.Run(Loopd.ControlProgram, "--control", tooLong, "-l").Refused(tooLong);
    }

    [Fact]
    public void No_permission_on_the_socket()
    {
        AnotherUser.SkipUnlessPossible();
        string image = Image();
        File.SetUnixFileMode(image, (UnixFileMode)0b110_110_110);
        AnotherUser.Control(_loopd, "-f", image).Refused($"permission denied on the control socket {_loopd.Socket}");
        AnotherUser.Control(_loopd, "-l").Refused($"permission denied on the control socket {_loopd.Socket}");
        Assert.Empty(_loopd.List());
    }

    [Fact]
    public void A_file_on_a_read_only_mount_gives_a_read_only_device()
    {
        string directory = _loopd.File("read-only");
        Directory.CreateDirectory(directory);
        string image = _loopd.MakeFile("read-only/disk.img", 4096);
        Shell.Bash($"mount --bind '{directory}' '{directory}' && mount -o remount,bind,ro '{directory}'");
        try
        {
            string device = _loopd.Bind(image);
            Assert.True(Assert.Single(_loopd.List()).ReadOnly);
            Assert.Equal(Errno.EROFS, SystemCall.Open(device, OpenFlags.ReadWrite));
            Shell.Run("cmp", image, device).Succeeded();
            _loopd.Control("-d", device).Succeeded();
        }
        finally
        {
            Shell.Bash($"umount '{directory}'");
        }
    }

    [Fact]
    public void A_device_of_the_daemon_itself_as_backing_file()
    {
        string device = _loopd.Bind(Image());
        _loopd.Control("-f", device).Refused($"{device} is a device of this daemon", "name several with -e");
        Assert.Single(_loopd.List());
    }

    [Fact]
    public void An_unbound_device_of_the_daemon_itself_as_backing_file() =>
        Refused(["-f", _loopd.Device(5)], _loopd.Device(5), "No such device or address");

    [Theory]
    [InlineData(OpenFlags.ReadWrite | OpenFlags.Append, "O_APPEND")]
    [InlineData(OpenFlags.WriteOnly, "was not opened for reading")]
    [InlineData(OpenFlags.PathOnly, "O_PATH")]
    public void A_descriptor_that_cannot_be_used_as_one_must(OpenFlags flags, string reason)
    {
        string path = Image();
        using FileDescriptor file = FileDescriptor.Open(path, flags);
        using ControlClient client = _loopd.Connect();
        var refused = Assert.Throws<ControlException>(() => client.Configure(new ConfigureRequest { BackingFile = file }));
        Assert.Equal(ControlError.BadBackingFile, refused.Error);
        Assert.Contains(path, refused.Message, StringComparison.Ordinal);
        Assert.Contains(reason, refused.Message, StringComparison.Ordinal);
        Assert.Empty(client.List());
    }

    [Fact]
    public void Refused_binds_leave_no_descriptor_behind_in_the_daemon()
    {
        string path = Image();
        using FileDescriptor append = FileDescriptor.Open(path, OpenFlags.ReadWrite | OpenFlags.Append);
        using FileDescriptor file = FileDescriptor.Open(path, OpenFlags.ReadWrite);
        using ControlClient client = _loopd.Connect();
        ConfigureRequest[] requests =
        [
            new() { BackingFile = append },
            new() { BackingFile = file, SectorSize = 1000 },
            new() { BackingFile = file, Device = 65536 },
            new() { BackingFile = file, Transfers = [new TransferRequest { Name = "rot13" }] },
            new() { BackingFile = file, Transfers = [new TransferRequest { Name = "xor" }] },
        ];
        for (int i = 0; i < 20; i++)
            Assert.All(requests, request => Assert.Throws<ControlException>(() => client.Configure(request)));
        // The last answer comes a moment before its message is let go.
        Loopd.WaitUntil(() => _loopd.OpenDescriptors(path) == 0, "the daemon closes what it has refused", seconds: 2);
    }

    private string Image() => _loopd.MakeFile("disk.img", 1 << 20);

    private string Key() => _loopd.MakeFile("disk.key", 32);

    private void Refused(string[] arguments, params string[] parts)
    {
        _loopd.Control(arguments).Refused(parts);
        Assert.Empty(_loopd.List());
    }
}
