namespace LoopDaemon.CommandLine.Tests;

/// <summary>The manual page knows all that the program knows.</summary>
public sealed class ManualPageTests
{
    private static readonly string Page = Read("loopctl.8");

    [Fact]
    public void Every_verb_and_option_is_in_the_manual_page()
    {
        foreach (Command command in (IEnumerable<Command>)[new LosetupFace(), .. Verbs.All])
        {
            if (command.Name.Length > 0)
                Assert.Contains($".It Cm {command.Name}", Page, StringComparison.Ordinal);
            Assert.All(command.Options, option => Assert.Matches($@"[ ,]-{option.Name}\b", Page));
            Assert.All(command.Options.SelectMany(option => option.Letters), letter => Assert.Matches($@"(Fl|,) {letter}\b", Page));
        }
    }

    [Fact]
    public void Every_option_of_looptab_is_in_its_manual_page() =>
        Assert.All(LooptabLine.OptionNames, name => Assert.Matches($@"(?m)^\.It .*\bCm {name}\b", Read("looptab.5")));

    [Fact]
    public void Every_option_of_the_mount_helpers_is_in_their_manual_page()
    {
        string page = Read("mount.loopd.8");
        Assert.All(new MountHelper().OptionNames, name => Assert.Matches($@"(?m)\bCm {name}\b|, {name} ", page));
        foreach (Command helper in (Command[])[new MountHelper(), new UmountHelper()])
            Assert.All(helper.Options.SelectMany(option => option.Letters), letter => Assert.Matches($@"Fl {letter}\b", page));
    }

    [Theory]
    [InlineData("loopctl.8")]
    [InlineData("loopd.8")]
    [InlineData("looptab.5")]
    [InlineData("mount.loopd.8")]
    public void A_manual_page_is_well_formed(string page)
    {
        Assert.SkipUnless(File.Exists("/usr/bin/mandoc"), "needs mandoc");
        ProgramRun lint = ProgramRun.Of("/usr/bin/mandoc", "-T", "lint", "-W", "warning", Path.Combine(Folder(), page));
        Assert.Equal("", lint.Output + lint.Error);
    }

    private static string Read(string page) => File.ReadAllText(Path.Combine(Folder(), page));

    private static string Folder()
    {
        string? directory = AppContext.BaseDirectory;
        while (directory is not null && !File.Exists(Path.Combine(directory, "LoopDaemon.sln")))
            directory = Path.GetDirectoryName(directory);
        return Path.Combine(directory ?? throw new DirectoryNotFoundException(), "src", "packaging", "man");
    }
}
