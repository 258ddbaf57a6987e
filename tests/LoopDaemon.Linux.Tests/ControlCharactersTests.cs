namespace LoopDaemon.Linux.Tests;

public sealed class ControlCharactersTests
{
    [Theory]
    [InlineData("disk.img", "disk.img")]
    [InlineData("two\nlines\u001b[1m", @"two\x0alines\x1b[1m")]
    [InlineData("Größe 1", "Größe 1")]
    public void Are_printed_as_numbers(string text, string expected) => Assert.Equal(expected, ControlCharacters.Escape(text));
}
