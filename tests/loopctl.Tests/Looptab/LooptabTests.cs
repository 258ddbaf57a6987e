using System.Text;
using LoopDaemon.Control;

namespace LoopDaemon.CommandLine.Tests;

/// <summary>What the lines of looptab mean, option by option, and what is said of those that mean nothing.</summary>
public sealed class LooptabTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly string _image, _key;

    public LooptabTests()
    {
        _image = _directory.MakeFile("disk.img");
        _key = _directory.MakeFile("disk.key", 32);
    }

    public void Dispose() => _directory.Dispose();

    [Theory]
    [InlineData("loop3", 3)]
    [InlineData("3", 3)]
    [InlineData("loop", null)]
    [InlineData("data", null)]
    [InlineData("loop3a", null)]
    public void A_name_is_that_of_a_device_or_a_reference(string name, int? device)
    {
        ConfigureRequest request = Request("", name);
        Assert.Equal((device, device is null ? name : ""), (request.Device, request.Reference));
    }

    [Fact]
    public void Without_options_a_device_is_the_whole_file()
    {
        LooptabLine line = Line($"0 {_image}");
        ConfigureRequest expected = new() { Device = 0, BackingFile = null! };
        Assert.Equal(Text(expected), Text(line.Request()));
        Assert.False(line.MayFail || line.IsSkippedUnlessNamed);
        Assert.Equal(Text(expected), Text(Request("")));
    }

    public static TheoryData<string, Func<ConfigureRequest, object?>, object?> Options => new()
    {
        { "offset=4K", request => request.Offset, 4096L },
        { "offset=0x200", request => request.Offset, 512L },
        { "size=64K", request => request.SizeLimit, 65536L },
        { "sizelimit=64K", request => request.SizeLimit, 65536L },
        { "ro", request => request.ReadOnly, true },
        { "readonly", request => request.ReadOnly, true },
        { "read-only", request => request.ReadOnly, true },
        { "discard", request => request.AllowDiscards, true },
        { "allow-discards", request => request.AllowDiscards, true },
        { "sectors-from=offset", request => request.SectorsFromOffset, true },
        { "sectors-from=file", request => request.SectorsFromOffset, false },
        { "passthrough=off", request => request.Passthrough, PassthroughChoice.Off },
        { "passthrough=auto", request => request.Passthrough, PassthroughChoice.Auto },
        { "direct-io", request => request.DirectIo, true },
        { "direct-io=on", request => request.DirectIo, true },
        { "direct-io=off", request => request.DirectIo, false },
        { "partscan", request => request.Partscan, true },
        { "sector-size=4K", request => request.SectorSize, 4096 },
        { "mode=0660", request => request.Mode, 0b110_110_000 },
        { "group=0", request => request.Group, 0u },
        { "loop-ref=a\\040b\\054c", request => request.Reference, "a b,c" },
        { "transfer=xor", request => string.Join(' ', request.Transfers.Select(transfer => transfer.Name)), "xor" },
        { "encryption=1,transfer=none,,", request => string.Join(' ', request.Transfers.Select(transfer => transfer.Name)), "1 none" },
        { "\"transfer=a:x=1,y=2\"", request => request.Transfers[0].Options["y"], "2" },
    };

    [Theory]
    [MemberData(nameof(Options))]
    public void An_option_is_that_of_loopctl(string options, Func<ConfigureRequest, object?> property, object? value) =>
        Assert.Equal(value, property(Request(options)));

    [Fact]
    public void Every_option_is_tested() => Assert.Empty(LooptabLine.OptionNames.Except(["noauto", "nofail"])
        .Except(Options.SelectMany(row => row.Data.Item1.Trim('"').Split(',')).Select(word => word.Split('=')[0])));

    [Fact]
    public void Noauto_and_nofail_are_the_line_s()
    {
        Assert.True(Line($"0 {_image} - noauto") is { IsSkippedUnlessNamed: true, MayFail: false });
        Assert.True(Line($"0 {_image} - nofail") is { IsSkippedUnlessNamed: false, MayFail: true });
    }

    [Theory]
    [InlineData("KEY", "transfer=xor")]
    [InlineData("-", "transfer=xor:key-file=KEY")]
    [InlineData("none", "transfer=none,transfer=xor:key-file=KEY")]
    public void A_key_is_read_when_it_is_needed(string key, string options)
    {
        LooptabLine line = Line($"0 {_image} {key} {options}".Replace("KEY", _key, StringComparison.Ordinal));
        ConfigureRequest request = line.Request();
        Assert.All(request.Transfers, transfer => Assert.Null(transfer.Key));
        Assert.NotNull(line.WithKeys(request).Transfers[^1].Key);
        Assert.All(request.Transfers, transfer => Assert.Empty(transfer.Options));
        File.Delete(_key);
        Assert.Contains(_key, Assert.Throws<CommandException>(() => line.WithKeys(request)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("0", "0: has no backing file: NAME BACKING-FILE KEY-FILE OPTIONS")]
    [InlineData("\"\" /a", "has an empty name")]
    [InlineData("a/b /a", "a/b: a name has no slash: write loop3 for a certain device, or a word for any")]
    [InlineData("loop99999999999 /a", "loop99999999999: there is no such device")]
    [InlineData("99999999999 /a", "99999999999: there is no such device")]
    [InlineData("ääääääääääääääääääääääääääääääää /a", "ääääääääääääääääääääääääääääääää: a name has at most 63 bytes")]
    [InlineData("0 a", "0: the backing file must be an absolute path, not 'a'")]
    [InlineData("0 /a b transfer=xor", "0: the key file must be an absolute path, not 'b'")]
    [InlineData("0 /a - transfer=xor:key-file=b", "0: the key file must be an absolute path, not 'b'")]
    [InlineData("0 /a - transfer=xor:key-file=-", "0: the key file must be an absolute path, not '-'")]
    [InlineData("0 /a - ro , x", "0: has more than 4 fields: write \\040 for a space in one of them")]
    [InlineData("0 /a /b", "0: the third field needs a transfer: give one with transfer=NAME")]
    [InlineData("0 /a /b transfer=a,transfer=b", "0: the third field goes with one transfer: with several, give each its own with transfer=NAME:key-file=FILE")]
    [InlineData("0 /a /b transfer=a:key-file=/c", "0: 'a:key-file=/c' has a key file of its own: leave out the third field")]
    [InlineData("0 /a - transfer", "0: option transfer needs a value: transfer=TRANSFER")]
    [InlineData("0 /a - transfer=", "0: option transfer needs a value: transfer=TRANSFER")]
    [InlineData("0 /a - transfer=:x=1", "0: ':x=1' names no transfer")]
    [InlineData("0 /a - ro=1", "0: option ro takes no value, not '1'")]
    [InlineData("0 /a - ro,readonly", "0: gives option readonly a second time")]
    [InlineData("0 /a - offset=1,offset=2", "0: gives option offset a second time")]
    [InlineData("0 /a - offset=ten", "0: failed to parse offset: 'ten': Invalid argument")]
    [InlineData("0 /a - offset=9E", "0: offset= or size= is larger than any file")]
    [InlineData("0 /a - sector-size=1000", "0: sector-size= is a power of two from 512 to 4096, not 1000")]
    [InlineData("0 /a - sector-size=8192", "0: sector-size= is a power of two from 512 to 4096, not 8192")]
    [InlineData("0 /a - direct-io=1", "0: option direct-io must be on or off, not '1'")]
    [InlineData("0 /a - passthrough=yes", "0: option passthrough must be auto, on or off, not 'yes'")]
    [InlineData("0 /a - sectors-from=0", "0: option sectors-from must be file or offset, not '0'")]
    [InlineData("0 /a - mode=rw", "0: failed to parse mode: 'rw': Invalid argument")]
    [InlineData("0 /a - group=nosuchgroup", "0: failed to parse group: 'nosuchgroup': there is no such group")]
    [InlineData("x /a - loop-ref=y", "x: loop-ref= goes with a certain device: any other has its name for a reference")]
    [InlineData("0 /a - read-olny", "0: there is no option read-olny: did you mean read-only?")]
    [InlineData("0 /a - cipher=aes", "0: there is no option cipher")]
    [InlineData("0 /a - keyfile-size=32", "0: there is no option keyfile-size: a key is a whole file: cut it out into a file of its own")]
    [InlineData("0 /a - keyfile-offset=32", "0: there is no option keyfile-offset: a key is a whole file: cut it out into a file of its own")]
    [InlineData("0 /a - key-file=/b", "0: there is no option key-file: the key file is the third field, or with several transfers transfer=NAME:key-file=FILE")]
    [InlineData("0 /a - autoclear", "0: there is no option autoclear: a device that is bound at boot has no user yet whose last close could clear it")]
    [InlineData("0 /a - skip=1", "0: there is no option skip: offset= counts bytes, and sectors-from= says where transfers count sectors from")]
    public void A_mistake_is_one_sentence(string line, string sentence)
    {
        Looptab table = Parse($"# first\n\n{line}\n9 /z\n");
        LooptabMistake mistake = Assert.Single(table.Mistakes);
        Assert.Equal((3, sentence), (mistake.Number, mistake.Message));
        Assert.Equal($"/etc/tab:3: {sentence}", table.Sentence(mistake.Number, mistake.Message));
        // It is no matter of the other lines.
        Assert.Equal((4, "9"), (Assert.Single(table.Lines).Number, table.Lines[0].Name));
    }

    [Theory]
    [InlineData("loop5", "5")]
    [InlineData("5", "05")]
    [InlineData("data", "data")]
    public void A_name_is_there_once(string first, string second)
    {
        LooptabMistake mistake = Assert.Single(Parse($"{first} /a\n{second} /b").Mistakes);
        Assert.Equal((2, $"{second}: is on line 1 already"), (mistake.Number, mistake.Message));
    }

    [Fact]
    public void An_empty_table_has_no_lines() => Assert.Equal((0, 0), (Parse("\n# nothing\n").Lines.Count, Parse("").Mistakes.Count));

    /// <summary>The program, on a table with mistakes: each said, none bound, and no daemon asked.</summary>
    [Fact]
    public void Check_says_all_that_is_wrong()
    {
        string table = Path.Combine(_directory.Path, "looptab");
        File.WriteAllText(table, $"0 {_image}\n1 {_image} - wrong\n2 {_directory.Path}/no.img\n3 {_image} {_directory.Path}/no.key transfer=xor\n4 {_image} \"\n5 /no - noauto\n");
        ProgramRun run = ProgramRun.Of(ProgramRun.Loopctl, "apply", "--check", table);
        Assert.Equal(new ProgramRun(1, "", $"""
            loopctl: {table}:2: 1: there is no option wrong
            loopctl: {table}:5: a quotation does not end: write \" for the character itself
            loopctl: {table}:3: 2: {_directory.Path}/no.img: failed to set up loop device: No such file or directory
            loopctl: {table}:4: 3: {_directory.Path}/no.key: cannot read the key: No such file or directory

            """), run);
        Assert.Equal(new ProgramRun(0, "", ""), ProgramRun.Of(ProgramRun.Loopctl, "apply", "--check", WithoutMistakes(table)));
    }

    /// <summary>A line whose name can be read is none of one that is asked for by another name.</summary>
    [Fact]
    public void Of_named_lines_only_their_own_mistakes_are_said()
    {
        string table = Path.Combine(_directory.Path, "looptab");
        File.WriteAllText(table, $"0 {_image}\n1 {_image} - wrong\n");
        Assert.Equal(new ProgramRun(0, "", ""), ProgramRun.Of(ProgramRun.Loopctl, "apply", "--check", table, "loop0"));
        Assert.Equal(new ProgramRun(1, "", $"loopctl: {table}:2: 1: there is no option wrong\n"), ProgramRun.Of(ProgramRun.Loopctl, "apply", table, "loop1"));
        Assert.Equal(new ProgramRun(1, "", $"loopctl: {table}: has no line nope\n"), ProgramRun.Of(ProgramRun.Loopctl, "apply", table, "nope"));
    }

    private static string WithoutMistakes(string table)
    {
        string right = table + ".right";
        File.WriteAllLines(right, [File.ReadLines(table).First(), "# that is all"]);
        return right;
    }

    private static string Text(ConfigureRequest request) => (request with { BackingFile = null! }).ToString().Replace(request.Transfers.ToString()!, "", StringComparison.Ordinal);

    private static Looptab Parse(string text) => Looptab.Parse("/etc/tab", Encoding.UTF8.GetBytes(text));

    private static LooptabLine Line(string line)
    {
        Looptab table = Parse(line);
        Assert.Empty(table.Mistakes);
        return Assert.Single(table.Lines);
    }

    private ConfigureRequest Request(string options, string name = "0") => Line($"{name} {_image} - {options}").Request();
}
