namespace LoopDaemon.CommandLine.Tests;

/// <summary>The name service judges who a number is.</summary>
public sealed class AccountNamesTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(65534)]
    [InlineData(4000000000)]
    public void A_user_and_a_group_have_their_name_or_their_number(uint id)
    {
        Assert.Equal(NameOf("passwd", id), AccountNames.OfUser(id));
        Assert.Equal(NameOf("group", id), AccountNames.OfGroup(id));
    }

    [Theory]
    [InlineData("root", 0)]
    [InlineData("0", 0)]
    [InlineData("4000000000", 4000000000)]
    public void A_group_is_known_by_name_and_number(string text, uint id) => Assert.Equal(id, AccountNames.ParseGroup(text));

    [Theory]
    [InlineData("")]
    [InlineData("nosuchgroup")]
    [InlineData("-1")]
    [InlineData("4294967296")]
    [InlineData("root:x")]
    public void What_is_no_group_is_refused(string text)
    {
        var refused = Assert.Throws<CommandException>(() => AccountNames.ParseGroup(text));
        Assert.Equal($"failed to parse group: '{text}': there is no such group", refused.Message);
    }

    private static string NameOf(string database, uint id)
    {
        ProgramRun entry = ProgramRun.Of("getent", database, $"{id}");
        return entry.ExitCode == 0 ? entry.Output.Split(':')[0] : $"{id}";
    }
}
