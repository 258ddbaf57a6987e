namespace LoopDaemon.CommandLine.Tests;

/// <summary>What the shells offer, asked of the shells themselves. There is no daemon here, and none is missed.</summary>
public sealed class CompletionTests : IDisposable
{
    private static readonly string Scripts = Path.Combine(FindRoot(), "src", "packaging", "completions");

    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    /// <summary>The line, and what it may become; FILE and DIR are of this test.</summary>
    public static TheoryData<string, string[]> Lines => new()
    {
        { "loopctl m", ["mount", "monitor"] },
        { "loopctl --noh", ["--noheadings", "--nohashpass"] },
        { "loopctl -f --show --off", ["--offset"] },
        { "loopctl --direct-io=o", ["--direct-io=on", "--direct-io=off"] },
        { "loopctl --sectors-from ", ["file", "offset"] },
        { "loopctl --sectors-from=f", ["--sectors-from=file"] },
        { "loopctl -l -O SI", ["SIZELIMIT"] },
        { "loopctl -l -O +NAME,BYTES-", ["+NAME,BYTES-READ", "+NAME,BYTES-WRITTEN"] },
        { "loopctl -l --output=BACK-MAJ:", ["--output=BACK-MAJ:MIN"] },
        { "loopctl completion ", ["bash", "zsh", "fish"] },
        { "loopctl --control /nonexistent completion f", ["fish"] },
        { "loopctl help um", ["umount"] },
        { "loopctl mount --mk", ["--mkfs"] },
        { "loopctl wait --", ["--cleared", "--bound", "--timeout", "--control", "--help", "--version"] },
        { "loopctl -d ", [] },
        { "loopctl -e ", [] },
        { "loopctl -e xor:", ["xor:key-file="] },
        { "loopctl --nope ", [] },
        { "loopctl -f FILE", ["FILE"] },
        { "loopctl 0 FILE", ["FILE"] },
        { "loopctl -j FILE", ["FILE"] },
        { "loopctl --key-file=FILE", ["--key-file=FILE"] },
        { "loopctl -e xor:key-file=FILE", ["xor:key-file=FILE"] },
        { "loopctl mount FILE", ["FILE"] },
        { "loopctl mount disk.img DIR", ["DIR"] },
        { "loopctl apply --ch", ["--check"] },
        { "loopctl apply FILE", ["FILE"] },
        { "loopctl umount DIR", ["DIR"] },
        { "loopctl umount FILE", [] },
    };

    [Theory]
    [InlineData("bash", "loopctl.bash")]
    [InlineData("zsh", "_loopctl")]
    [InlineData("fish", "loopctl.fish")]
    public void A_script_is_printed_as_it_is_packaged(string shell, string file) =>
        Assert.Equal(File.ReadAllText(Path.Combine(Scripts, file)), ProgramRun.Of(ProgramRun.Loopctl, "completion", shell).Succeeded().Output);

    [Theory]
    [InlineData()]
    [InlineData("tcsh")]
    [InlineData("bash", "zsh")]
    public void No_script_for_no_shell(params string[] shells) => Assert.Equal(
        new ProgramRun(1, "", "loopctl: name a shell: loopctl completion [options] bash|zsh|fish\n"), ProgramRun.Of(ProgramRun.Loopctl, ["completion", .. shells]));

    [Theory]
    [MemberData(nameof(Lines))]
    public void Bash_offers(string line, string[] offers)
    {
        // Bash takes words apart at = and : as well, and is given what follows the last of these.
        const string Ask = """
            source "$1/loopctl.bash"
            COMP_LINE=$2 COMP_POINT=${#2}
            read -ra words <<< "$(sed 's/[=:]/ & /g' <<< "$2")"
            [[ $2 != *' ' ]] || words+=('')
            COMP_WORDS=("${words[@]}") COMP_CWORD=$((${#words[@]} - 1))
            _loopctl "${words[0]}" "${words[-1]}" "${words[-2]}"
            typed=${2##* } own=${words[-1]#[=:]}
            printf '%s\n' "${COMPREPLY[@]/#/${typed%"$own"}}"
            """;
        AssertOffers(line, offers, Ask, "bash", "-c");
    }

    [Theory]
    [MemberData(nameof(Lines))]
    public void Fish_offers(string line, string[] offers)
    {
        ProgramRun.SkipUnlessInstalled("fish");
        AssertOffers(line, offers, "source $argv[1]/loopctl.fish; complete -C $argv[2] | string replace -r '\\t.*' '' | string replace -r '/$' ''", "fish", "-c");
    }

    /// <summary>An interactive zsh completes what is typed before TAB; what it offers several of, it leaves as it is.</summary>
    [Fact]
    public void Zsh_completes()
    {
        ProgramRun.SkipUnlessInstalled("zsh");
        const string Ask = """
            zmodload zsh/zpty zsh/datetime
            zpty -b shell zsh -f -i
            wait_for() {
                local output chunk
                local -F end=$((EPOCHREALTIME + 20))
                while ((EPOCHREALTIME < end)); do
                    if zpty -r -t shell chunk; then output+=$chunk; else sleep 0.02; fi
                    [[ $output == *'<<<'*'>>>'* ]] || continue
                    REPLY=${${output##*<<<}%%>>>*}
                    return
                done
                REPLY="timeout: $output"
            }
            zpty -w shell "PS1= PS2=; autoload -Uz compinit; compinit -u -D; source $1/_loopctl; show() print -rn -- '<''<<'\$BUFFER'>>>'; zle -N show; bindkey '^X' show; print '<''<<ready>>>'"
            wait_for
            for line in "${@[2,-1]}"; do
                zpty -w -n shell "$line"$'\t\x18'
                wait_for
                print -r -- "$REPLY"
                zpty -w -n shell $'\x15'
            done
            zpty -d shell
            """;
        (string[] lines, string[][] offers) = ([.. Lines.Select(row => Localized(row.Data.Item1))], [.. Lines.Select(row => row.Data.Item2.Select(Localized).ToArray())]);
        string[] completed = Run(["zsh", "-c", Ask, "test", Scripts, .. lines]);
        Assert.Equal(lines.Length, completed.Length);
        for (int i = 0; i < lines.Length; i++)
        {
            string before = lines[i][..(lines[i].LastIndexOf(' ') + 1)];
            string expected = offers[i] is [var only] ? before + only : lines[i];
            Assert.StartsWith(offers[i].Length > 1 ? lines[i] : expected, completed[i].Replace("/ ", " ", StringComparison.Ordinal), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Every_option_of_every_command_is_offered()
    {
        Assert.All((Command[])[new LosetupFace(), .. Verbs.All], command =>
        {
            string[] words = command.Name.Length > 0 ? [command.Name, "-"] : ["-"];
            string[] offered = [.. Completion.Of(words).Select(candidate => candidate.Text)];
            Assert.Equal(
                command.Options.SelectMany(option => option.Letters.Select(letter => $"-{letter}").Append($"--{option.Name}")), offered);
        });
    }

    private void AssertOffers(string line, string[] offers, string script, string shell, params string[] arguments)
    {
        string[] scriptAndName = shell == "bash" ? [script, "test"] : [script];
        string[] offered = Run([shell, .. arguments, .. scriptAndName, Scripts, Localized(line)]);
        Assert.Equal(offers.Select(Localized).Order(StringComparer.Ordinal), offered.Order(StringComparer.Ordinal));
    }

    private string Localized(string text) => text
        .Replace("FILE", MakeFile(), StringComparison.Ordinal)
        .Replace("DIR", Directory.CreateDirectory(Path.Combine(_directory.Path, "directory")).FullName, StringComparison.Ordinal);

    private string MakeFile()
    {
        string path = Path.Combine(_directory.Path, "file.img");
        File.WriteAllText(path, "");
        return path;
    }

    private static string[] Run(string[] command)
    {
        var environment = new Dictionary<string, string>
        {
            ["PATH"] = $"{Path.GetDirectoryName(ProgramRun.Loopctl)}:{Environment.GetEnvironmentVariable("PATH")}",
            ["TERM"] = "xterm",
        };
        ProgramRun run = ProgramRun.Of("timeout", ["60", .. command], environment);
        Assert.Equal("", run.Error);
        return run.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    private static string FindRoot()
    {
        string? directory = AppContext.BaseDirectory;
        while (directory is not null && !File.Exists(Path.Combine(directory, "LoopDaemon.sln")))
            directory = Path.GetDirectoryName(directory);
        return directory ?? throw new InvalidOperationException("the tests run outside the source tree");
    }
}
