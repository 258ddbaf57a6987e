namespace LoopDaemon.CommandLine.Tests;

public sealed class MountOptionTextTests
{
    [Theory]
    [InlineData("")]
    [InlineData(",,")]
    [InlineData("ro", "ro")]
    [InlineData("ro,noatime,", "ro", "noatime")]
    [InlineData("a=\"b,c\",d", "a=\"b,c\"", "d")]
    [InlineData("\"a,b", "\"a,b")]
    public void Commas_part_options_unless_quoted(string text, params string[] options) => Assert.Equal(options, MountOptionText.Split(text));

    [Fact]
    public void Quotes_are_not_part_of_a_value() => Assert.Equal("transfer=xor:key-file=/a,b", MountOptionText.Unquote("transfer=\"xor:key-file=/a,b\""));
}
