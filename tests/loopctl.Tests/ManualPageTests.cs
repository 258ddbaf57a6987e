namespace LoopDaemon.CommandLine.Tests;

/// <summary>The manual page knows all that the program knows.</summary>
public sealed class ManualPageTests
{
    private static readonly string Page = File.ReadAllText(Path.Combine(Folder(), "loopctl.8"));

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

    [Theory]
    [InlineData("loopctl.8")]
    [InlineData("loopd.8")]
    public void A_manual_page_is_well_formed(string page)
    {
        Assert.SkipUnless(File.Exists("/usr/bin/mandoc"), "needs mandoc");
        ProgramRun lint = ProgramRun.Of("/usr/bin/mandoc", "-T", "lint", "-W", "warning", Path.Combine(Folder(), page));
        Assert.Equal("", lint.Output + lint.Error);
    }

    private static string Folder()
    {
        string? directory = AppContext.BaseDirectory;
        while (directory is not null && !File.Exists(Path.Combine(directory, "LoopDaemon.sln")))
            directory = Path.GetDirectoryName(directory);
        return Path.Combine(directory ?? throw new DirectoryNotFoundException(), "src", "packaging", "man");
    }
}
