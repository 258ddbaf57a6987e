using LoopDaemon.Control;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary><c>loopctl apply</c>: the devices of a table, bound once however often it is applied.</summary>
public sealed class ApplyTests : IClassFixture<SharedLoopd>, IDisposable
{
    private readonly Loopd _loopd;
    private readonly string _place, _image, _other, _key, _table;

    public ApplyTests(SharedLoopd shared)
    {
        _loopd = shared.Fresh();
        _place = _loopd.File(Path.GetRandomFileName());
        Directory.CreateDirectory(_place);
        _image = _loopd.MakeFile(Path.Combine(_place, "disk.img"), 1 << 20, seed: 1);
        _other = _loopd.MakeFile(Path.Combine(_place, "other disk.img"), 1 << 20, seed: 2);
        _key = _loopd.MakeFile(Path.Combine(_place, "disk.key"), 32, seed: 3);
        _table = Path.Combine(_place, "looptab");
    }

    public void Dispose() => Directory.Delete(_place, recursive: true);

    [Fact]
    public void A_table_is_bound_once_however_often_it_is_applied()
    {
        Table($"data {_image} {_key} transfer=xor", $"loop5 {Escaped(_other)} - ro", "# that is all");
        Assert.Equal($"data: {_loopd.Device(0)}\nloop5: {_loopd.Device(5)}\n", Apply().Succeeded().Output);
        IReadOnlyList<DeviceStatus> bound = _loopd.List();
        Assert.Equal([(0, _image, "data", false), (5, _other, "", true)], bound.Select(device => (device.Device, device.BackingFile, device.Reference, device.ReadOnly)));
        Assert.All(bound, device => Assert.False(device.Autoclear));

        Assert.Equal($"data: {_loopd.Device(0)}, bound already\nloop5: {_loopd.Device(5)}, bound already\n", Apply().Succeeded().Output);
        Assert.Equal(bound.Select(device => (device.Device, device.BoundAt)), _loopd.List().Select(device => (device.Device, device.BoundAt)));
    }

    [Fact]
    public void Options_are_those_of_the_device()
    {
        Table($"3 {Escaped(_other)} - offset=4K,size=64K,ro,partscan,sector-size=1K,mode=0640,group=daemon,loop-ref=a\\040b,transfer=xor:key-file={_key},"
            + $"transfer=xor:key-file={_key},sectors-from=offset,discard");
        Apply().Succeeded();
        DeviceStatus device = Assert.Single(_loopd.List());
        Assert.Equal((3, 4096L, 65536L, true, true, 1024), (device.Device, device.Offset, device.SizeLimit, device.ReadOnly, device.Partscan, device.SectorSize));
        Assert.Equal((0b110_100_000, 1u, "a b", true, true), (device.Mode, device.Group, device.Reference, device.SectorsFromOffset, device.AllowDiscards));
        Assert.Equal(["xor", "xor"], device.Transfers);
        // Twice the same key is none.
        Assert.Equal(File.ReadAllBytes(_other)[4096..(4096 + 65536)], File.ReadAllBytes(_loopd.Device(3)));
        Assert.Contains("bound already", Apply().Succeeded().Output, StringComparison.Ordinal);
    }

    [Fact]
    public void The_key_file_is_the_key()
    {
        Table($"0 {_image} {_key} encryption=1");
        Apply().Succeeded();
        byte[] key = File.ReadAllBytes(_key);
        Assert.Equal(File.ReadAllBytes(_image).Select((letter, i) => (byte)(letter ^ key[i % 512 % key.Length])).ToArray(), File.ReadAllBytes(_loopd.Device(0)));
        // What is bound already needs it no more, and goes by the transfer's name or number.
        File.Delete(_key);
        Assert.Contains("bound already", Apply().Succeeded().Output, StringComparison.Ordinal);
        Table($"0 {_image} {_key} transfer=XOR");
        Assert.Contains("bound already", Apply().Succeeded().Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("offset=512", "offset 0 instead of offset 512")]
    [InlineData("size=512", "no size limit instead of size limit 512")]
    [InlineData("ro", "read-write instead of read-only")]
    [InlineData("transfer=xor:key-file=/any", "transfers none instead of transfers xor")]
    [InlineData("sectors-from=offset", "sectors counted from the file instead of sectors counted from the offset")]
    [InlineData("discard", "discards not allowed instead of discards allowed")]
    [InlineData("sector-size=4096", "sector size 512 instead of sector size 4096")]
    [InlineData("partscan", "no partscan instead of partscan")]
    [InlineData("mode=0660,group=1", "group 0 instead of group 1; mode 0600 instead of mode 0660")]
    [InlineData("loop-ref=x", "reference '' instead of reference 'x'")]
    public void What_is_bound_otherwise_is_left_alone(string options, string difference)
    {
        Table($"loop2 {_image}");
        Apply().Succeeded();
        DeviceStatus before = Assert.Single(_loopd.List());
        Table($"loop2 {_image} - {options}");
        Apply().Refused($"{_table}:1: loop2: {_loopd.Device(2)} is bound otherwise: {difference}: detach it first, or change the line");
        Assert.Equal(before.BoundAt, Assert.Single(_loopd.List()).BoundAt);
    }

    [Fact]
    public void What_is_bound_to_another_file_or_about_to_go_is_left_alone()
    {
        Table($"data {_image}", $"loop2 {_image}");
        _loopd.Control("loop2", _other, "--loop-ref", "another").Succeeded();
        _loopd.Control("loop3", _image, "--loop-ref", "data", "--autoclear").Succeeded();
        ShellResult result = Apply();
        Assert.Equal((1, ""), (result.ExitCode, result.Output));
        Assert.Equal(
            [
                $"loopctl: {_table}:1: data: {_loopd.Device(3)} is bound otherwise: autoclear instead of no autoclear: detach it first, or change the line",
                $"loopctl: {_table}:2: loop2: {_loopd.Device(2)} is bound otherwise: backing file {_other} instead of {_image}: detach it first, or change the line",
            ], result.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal(2, _loopd.List().Count);
    }

    [Fact]
    public void What_was_cleared_is_bound_again()
    {
        Table($"data {_image}", $"more {Escaped(_other)}");
        Apply().Succeeded();
        _loopd.Control("-d", "loop0").Succeeded();
        // The free name gets the first free device, whichever it had.
        _loopd.Control("loop0", _key).Succeeded();
        Assert.Equal($"data: {_loopd.Device(2)}\nmore: {_loopd.Device(1)}, bound already\n", Apply().Succeeded().Output);
        Assert.Equal(["", "more", "data"], _loopd.List().Select(device => device.Reference));
    }

    /// <summary>Another user who may bind devices gives them any reference, and takes no name from root's table with it.</summary>
    [Fact]
    public void A_name_is_that_of_ones_own_devices()
    {
        AnotherUser.SkipUnlessPossible();
        const UnixFileMode Anyone = (UnixFileMode)0b110_110_110, OwnerOnly = (UnixFileMode)0b110_000_000;
        File.SetUnixFileMode(_loopd.Socket, Anyone);
        AnotherUser.Control(_loopd, "loop0", _image, "--loop-ref", "data").Succeeded();
        File.SetUnixFileMode(_loopd.Socket, OwnerOnly);
        Table($"data {_image} - ro");
        Assert.Equal($"data: {_loopd.Device(1)}\n", Apply().Succeeded().Output);
        Table($"loop0 {_image} - ro,loop-ref=data,group={AnotherUser.Id}");
        Apply().Refused($"{_loopd.Device(0)} is bound otherwise: owner {AnotherUser.Id} instead of owner 0: ");
    }

    [Fact]
    public void A_line_that_fails_does_not_stop_the_others()
    {
        Table($"a {_place}/missing.img", $"b {_image} - nofail,transfer=xro", "c relative", $"d {Escaped(_other)}");
        ShellResult result = Apply();
        Assert.Equal((1, $"d: {_loopd.Device(0)}\n"), (result.ExitCode, result.Output));
        string[] sentences = result.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(3, sentences.Length);
        Assert.StartsWith($"loopctl: {_table}:3: c: the backing file must be an absolute path", sentences[0], StringComparison.Ordinal);
        Assert.StartsWith($"loopctl: {_table}:1: a: {_place}/missing.img: failed to set up loop device: No such file or directory", sentences[1], StringComparison.Ordinal);
        Assert.Contains($"{_table}:2: b: {_image}: failed to set up loop device: there is no transfer xro", sentences[2], StringComparison.Ordinal);
        Assert.Contains("did you mean xor?", sentences[2], StringComparison.Ordinal);
        Assert.Single(_loopd.List());
    }

    [Fact]
    public void What_may_fail_fails_with_a_word()
    {
        Table($"a {_place}/missing.img - nofail", $"b {_image} - transfer=xor,nofail");
        ShellResult result = Apply().Succeeded();
        Assert.Equal(2, result.Error.Count(letter => letter == '\n'));
        Assert.Contains("b: ", result.Error, StringComparison.Ordinal);
        Assert.Contains("transfer xor needs a key: give it with its file as the third field", result.Error, StringComparison.Ordinal);
        Assert.Empty(_loopd.List());
    }

    [Fact]
    public void Noauto_is_bound_only_by_name()
    {
        Table($"loop1 {_image} - noauto", $"data {Escaped(_other)} - noauto", $"2 {_key}");
        Assert.Equal($"2: {_loopd.Device(2)}\n", Apply().Succeeded().Output);
        Assert.Equal($"loop1: {_loopd.Device(1)}\ndata: {_loopd.Device(0)}\n", Apply("data", "1").Succeeded().Output);
        Apply("nope").Refused($"{_table}: has no line nope");
    }

    [Fact]
    public async Task Many_at_a_time_bind_each_line_once()
    {
        string[] names = [.. Enumerable.Range(0, 4).Select(i => $"name{i}")];
        Table([.. names.Select(name => $"{name} {_image} - ro"), $"loop7 {_image} - ro"]);
        ShellResult[] applies = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Task.Run(() => Apply())));
        Assert.All(applies, apply => Assert.Equal("", apply.Succeeded().Error));
        Assert.Equal(names.Length + 1, applies.Sum(apply => apply.Output.Split('\n').Count(line => line.Length > 0 && !line.EndsWith(", bound already", StringComparison.Ordinal))));
        Assert.Equal([.. names, ""], _loopd.List().Select(device => device.Reference));
        Assert.Equal(["control", "control.lock"], Directory.GetFiles(_loopd.Directory, "control*").Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_check_binds_nothing()
    {
        Table($"loop1 {_image} {_key} transfer=xor", "2 x");
        Apply("--check").Refused($"{_table}:2: 2: the backing file must be an absolute path, not 'x'");
        Assert.Equal("", Apply("--check", "loop1").Succeeded().Output);
        Assert.Empty(_loopd.List());
    }

    [Fact]
    public void Without_a_daemon_on_the_chosen_socket_none_is_started()
    {
        Table($"loop1 {_image}");
        Shell.Run(Loopd.ControlProgram, "--control", $"{_place}/nobody", "apply", _table).Refused($"no daemon answers on {_place}/nobody");
        Table("# nothing to bind");
        Shell.Run(Loopd.ControlProgram, "--control", $"{_place}/nobody", "apply", _table).Succeeded();
    }

    private static string Escaped(string path) => path.Replace(" ", "\\040", StringComparison.Ordinal);

    private void Table(params string[] lines) => File.WriteAllLines(_table, lines);

    private ShellResult Apply(params string[] arguments) => _loopd.Control(["apply", _table, .. arguments]);
}
