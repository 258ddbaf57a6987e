using CsCheck;

namespace LoopDaemon.CommandLine.Tests;

/// <summary>Lists of devices against losetup's own, of a kernel device that is shown as if it were ours.</summary>
public sealed class DeviceListTests : IDisposable
{
    /// <summary>The columns of losetup 2.38.1.</summary>
    private static readonly string[] Columns =
        ["NAME", "AUTOCLEAR", "BACK-FILE", "BACK-INO", "BACK-MAJ:MIN", "MAJ:MIN", "OFFSET", "PARTSCAN", "RO", "SIZELIMIT", "DIO", "LOG-SEC"];

    private static readonly string[] FileNames =
    [
        "disk.img", "a b", "tab\there", "line\nbreak", "quo\"te", "back\\slash", "esc\\x41ape", "\a\u001b[31mred\u007f", "größe", "日本語", "e\u0301", "em😀ji",
        "no\u00a0break", "zero\u200bwidth", "soft\u00adhyphen", "c1\u0085", "line\u2028separator", "not\u0378assigned", "private\ue000", "한\u1160글", "trail ",
        "a rather long name that goes on and on until it is wider than any column of any terminal should have to be, and then a bit further still",
    ];

    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    public static TheoryData<string> Names => [.. FileNames];

    [Theory]
    [MemberData(nameof(Names))]
    public void Any_file_name_is_shown_as_losetup_shows_it(string name)
    {
        using KernelDevice device = Attach(name, "-o", "512", "--sizelimit", "4K", "-r");
        foreach (string columns in (string[])["+PARTSCAN", "BACK-FILE", "BACK-FILE,RO", "OFFSET,NAME,BACK-FILE,BACK-INO"])
        {
            foreach (string[] form in (string[][])[[], ["-n"], ["--raw"], ["--raw", "-n"], ["-J"]])
            {
                Assert.Equal(Losetup([.. form, "-l", "-O", columns, device.Path], device), Ours(form, columns, utf8: true, null, device));
            }
        }
        Assert.Equal(
            ProgramRun.Of(ProgramRun.Losetup, ["-l", device.Path], new Dictionary<string, string> { ["LC_ALL"] = "C" }).Output,
            Ours([], null, utf8: false, null, device));
    }

    /// <summary>Any columns, in any order, several times, in any case.</summary>
    [Fact]
    public void Any_columns_are_shown_as_losetup_shows_them()
    {
        using KernelDevice first = Attach("disk.img", "-P", "--sizelimit", "100K"), second = Attach("größe", "-o", "1M", "-b", "4096", "--direct-io");
        Gen<string> column = Gen.Select(Gen.OneOf<string>(Columns), Gen.Bool, (name, lower) => lower ? name.ToLowerInvariant() : name);
        Gen<string> list = Gen.Select(Gen.Bool, column.Array[1, 12], (adds, names) => (adds ? "+" : "") + string.Join(',', names));
        Gen<string[]> form = Gen.OneOf<string[]>([[], ["-n"], ["--raw"], ["--raw", "-n"], ["-J"], ["-J", "-n"]]);
        Gen.Select(list, form, Gen.Bool).Sample((columns, options, useFirst) =>
        {
            KernelDevice device = useFirst ? first : second;
            Assert.Equal(Losetup([.. options, "-l", "-O", columns, device.Path], device), Ours(options, columns, utf8: true, null, device));
        }, iter: 100);
    }

    [Theory]
    [InlineData()]
    [InlineData("-n")]
    [InlineData("--raw")]
    [InlineData("-J")]
    public void Several_devices_are_as_wide_as_the_widest(params string[] form)
    {
        string file = _directory.MakeFile("a.img");
        string other = Path.Combine(_directory.Path, "another name of the same file, by which losetup -j finds it too");
        ProgramRun.Of("ln", file, other).Succeeded();
        using KernelDevice first = KernelDevice.Attach(file, "-o", "1"), second = KernelDevice.Attach(other, "-r"), third = KernelDevice.Attach(file, "--sizelimit", "123456789012");
        // In losetup's order, which is the file system's.
        string[] order = ProgramRun.Of(ProgramRun.Losetup, "-n", "-O", "NAME", "-j", file).Succeeded().Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        KernelDevice[] devices = [.. ((KernelDevice[])[first, second, third]).OrderBy(device => Array.IndexOf(order, device.Path))];
        Assert.Equal(3, order.Length);
        foreach (string? columns in (string?[])[null, "SIZELIMIT,NAME,BACK-FILE", "BACK-FILE,OFFSET"])
        {
            string[] chosen = columns is null ? [] : ["-O", columns];
            Assert.Equal(Losetup([.. form, "-l", "-j", file, .. chosen], devices), Ours(form, columns, utf8: true, null, devices));
        }
    }

    /// <summary>NAME and BACK-FILE give way on a terminal, and what does not fit pushes the next column to a new line.</summary>
    [Theory]
    [InlineData("disk.img")]
    [InlineData("日本語の名前のファイル")]
    [InlineData("a rather long name that goes on and on until it is wider than any column of any terminal should have to be")]
    public void A_terminal_that_is_too_narrow(string name)
    {
        ProgramRun.SkipUnlessInstalled("script");
        using KernelDevice device = Attach(name);
        foreach (int width in (int[])[10, 40, 60, 70, 80, 100, 132, 200, 300])
        {
            foreach (string? columns in (string?[])[null, "BACK-FILE,NAME", "NAME,NAME,RO,BACK-FILE,BACK-FILE", "RO,NAME"])
            {
                string[] form = width % 20 == 0 ? [] : ["-n"];
                string[] words = [.. form, "-l", .. columns is null ? Array.Empty<string>() : ["-O", columns], device.Path];
                Assert.Equal(OnTerminal(width, words), Ours(form, columns, utf8: true, width, device));
            }
        }
    }

    [Fact]
    public void A_terminal_changes_nothing_in_raw_and_JSON()
    {
        ProgramRun.SkipUnlessInstalled("script");
        using KernelDevice device = Attach("a rather long name that goes on and on until it is wider than any column");
        Assert.Equal(OnTerminal(40, "--raw", "-l", device.Path), Ours(["--raw"], null, utf8: true, null, device));
        Assert.Equal(OnTerminal(40, "-J", "-l", device.Path), Ours(["-J"], null, utf8: true, null, device));
    }

    [Theory]
    [InlineData()]
    [InlineData("-n")]
    [InlineData("--raw")]
    [InlineData("-J")]
    public void A_device_that_is_not_bound_has_losetups_row(params string[] form)
    {
        foreach (string columns in (string[])["+MAJ:MIN", "NAME,BACK-FILE", "BACK-INO,OFFSET", string.Join(',', Columns)])
        {
            (KernelDevice device, string expected) = Unbound([.. form, "-l", "-O", columns]);
            Assert.Equal(Renumbered(expected, device.Number), Ours(form, columns, utf8: true, null, [new DeviceRow(device.Number, device.Path, null)]));
        }
    }

    [Theory]
    [InlineData()]
    [InlineData("-n")]
    [InlineData("--raw")]
    [InlineData("-J")]
    public void No_device_is_what_it_is_to_losetup(params string[] form)
    {
        ProgramRun.SkipUnlessLosetup();
        Assert.Equal(
            ProgramRun.Of(ProgramRun.Losetup, [.. form, "-l", "-j", "/nonexistent"]).Succeeded().Output,
            Ours(form, null, utf8: true, null, Array.Empty<DeviceRow>()));
    }

    [Fact]
    public void Our_own_columns_come_behind_losetups()
    {
        ProgramRun.SkipUnlessLosetup();
        string[] names = [.. DeviceColumns.All.Select(column => column.Name)];
        string[] losetups = [.. ProgramRun.Of(ProgramRun.Losetup, "--help").Output.Split("Available output columns:\n")[1]
            .Split('\n').TakeWhile(line => line.Length > 0).Select(line => line.Trim().Split(' ')[0])];
        Assert.Equal(Columns, losetups);
        Assert.Equal(losetups, names.Where(losetups.Contains));
        Assert.Equal(["BACK-MAJ", "BACK-MIN", "MAJ", "MIN", "REF"], names.TakeWhile(name => name != "TRANSFER").Except(losetups));
        Assert.Equal(["TRANSFER", "OWNER", "OPEN", "READS", "WRITES", "BYTES-READ", "BYTES-WRITTEN", "ERRORS"], names.SkipWhile(name => name != "TRANSFER"));
    }

    [Fact]
    public void Our_own_columns_show_what_only_we_have()
    {
        using KernelDevice device = Attach("disk.img");
        var traffic = new Control.TrafficStatus(1, 22, 333, 4444, 55555);
        var row = new DeviceRow(device.Status with { Transfers = ["xor", "identity"], Openers = 2, Reference = "the text", Traffic = traffic });
        const string Names = "TRANSFER,OWNER,OPEN,READS,WRITES,BYTES-READ,BYTES-WRITTEN,ERRORS,REF,MAJ,MIN,BACK-MAJ";
        uint backingMajor = row.Status!.BackingDevice.Major;
        Assert.Equal(
            $"TRANSFER OWNER OPEN READS WRITES BYTES-READ BYTES-WRITTEN ERRORS REF MAJ MIN BACK-MAJ\n"
            + $"xor+identity root 2 1 22 333 4444 55555 the\\x20text 0 {device.Number} {backingMajor}\n", Ours(["--raw"], Names, utf8: true, null, [row]));
        string json = Ours(["-J"], Names, utf8: true, null, [row]);
        Assert.Contains("\"transfer\": \"xor+identity\",\n", json, StringComparison.Ordinal);
        Assert.Contains("\"bytes-written\": 4444,\n", json, StringComparison.Ordinal);
        Assert.Contains("\"ref\": \"the text\",\n", json, StringComparison.Ordinal);
        Assert.Contains($"\"back-maj\": \"{backingMajor}\"\n", json, StringComparison.Ordinal);
        Assert.Contains("\"transfer\": null\n", Ours(["-J"], "TRANSFER", utf8: true, null, device), StringComparison.Ordinal);
    }

    /// <summary>What losetup says of a device that is not bound and was writable last: the kernel leaves RO as it was.</summary>
    private (KernelDevice Device, string Output) Unbound(string[] words)
    {
        while (true)
        {
            KernelDevice device = Attach("disk.img");
            device.Dispose();
            // Other tests bind and detach it as they please; the sequence number tells of every time.
            long sequence = device.Sequence;
            bool fresh = !device.IsBound && !device.IsReadOnly;
            string output = ProgramRun.Of(ProgramRun.Losetup, [.. words, device.Path]).Succeeded().Output;
            if (fresh && device.Sequence == sequence)
                return (device, output);
        }
    }

    private KernelDevice Attach(string name, params string[] options) => KernelDevice.Attach(_directory.MakeFile(name, 4 << 20), options);

    private static string Losetup(string[] words, params KernelDevice[] devices) => devices.Aggregate(
        ProgramRun.Of(ProgramRun.Losetup, words).Succeeded().Output, (output, device) => Renumbered(output, device.Number));

    private static string OnTerminal(int width, params string[] words)
    {
        string command = string.Join(' ', words.Select(word => $"'{word}'"));
        string output = ProgramRun.Of("script", "-qec", $"stty cols {width} rows 24 -onlcr; losetup {command}", "/dev/null").Succeeded().Output;
        return output;
    }

    /// <summary>Ours have the major number 0.</summary>
    private static string Renumbered(string output, int number) => output
        .Replace($"  7:{number}  ", $"  0:{number}  ", StringComparison.Ordinal)
        .Replace($"\\x20\\x207:{number}\\x20", $"\\x20\\x200:{number}\\x20", StringComparison.Ordinal);

    private static string Ours(string[] form, string? columns, bool utf8, int? terminal, params KernelDevice[] devices) =>
        Ours(form, columns, utf8, terminal, [.. devices.Select(device => new DeviceRow(device.Status))]);

    private static string Ours(string[] form, string? columns, bool utf8, int? terminal, DeviceRow[] rows)
    {
        var list = new DeviceList(DeviceColumns.Choose(columns, all: false), rows);
        using var output = new StringWriter();
        if (form.Contains("-J"))
            list.WriteJson(output);
        else if (form.Contains("--raw"))
            list.WriteRaw(output, headings: !form.Contains("-n"));
        else
            list.WriteTable(output, headings: !form.Contains("-n"), utf8, terminal);
        return output.ToString();
    }
}
