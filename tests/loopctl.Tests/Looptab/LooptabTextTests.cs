using System.Text;
using CsCheck;

namespace LoopDaemon.CommandLine.Tests;

/// <summary>How a line of looptab is taken apart.</summary>
public sealed class LooptabTextTests
{
    [Theory]
    [InlineData("")]
    [InlineData(" \t ")]
    [InlineData("# a comment")]
    [InlineData("  # a comment", "")]
    [InlineData("a b c", "a", "b", "c")]
    [InlineData("\ta  b\t\tc \r", "a", "b", "c")]
    [InlineData("a b # c", "a", "b")]
    [InlineData("a b#c", "a", "b#c")]
    [InlineData("a \\#b", "a", "#b")]
    [InlineData("a \"#b\"", "a", "#b")]
    [InlineData("a\\040b", "a b")]
    [InlineData("a\\ b", "a b")]
    [InlineData("\"a b\"c", "a bc")]
    [InlineData("\"\" x", "", "x")]
    [InlineData("a\\134040b", "a\\040b")]
    [InlineData("a\\\\b", "a\\b")]
    [InlineData("a\\\"b", "a\"b")]
    [InlineData("a\\04", "a04")]
    [InlineData("a\\400", "a400")]
    [InlineData("Gr\\303\\266\\303\\237e", "Größe")]
    [InlineData("Größe", "Größe")]
    public void Fields_are_what_blanks_leave(string line, params string[] fields) =>
        Assert.Equal(fields.Where(field => line.Contains('x') || field.Length > 0), Fields(line).Select(parts => string.Join("<,>", parts)));

    [Theory]
    [InlineData("a,b", "a", "b")]
    [InlineData("a\\,b", "a,b")]
    [InlineData("a\\054b", "a,b")]
    [InlineData("\"a,b\",c", "a,b", "c")]
    [InlineData("a,,b,", "a", "", "b", "")]
    public void Commas_part_a_field_unless_they_have_lost_their_meaning(string line, params string[] parts) => Assert.Equal(parts, Assert.Single(Fields(line)));

    [Theory]
    [InlineData("a \"b c", "a quotation does not end: write \\\" for the character itself")]
    [InlineData("a b\\", "ends with a backslash, and a line does not go on in the next one")]
    [InlineData("a b\\000c", "has a control character in a field")]
    [InlineData("a \"b\tc\"", "has a control character in a field")]
    [InlineData("a \\377", "is not text in UTF-8")]
    public void A_line_that_makes_no_fields(string line, string complaint) =>
        Assert.Equal(complaint, Assert.Throws<CommandException>(() => Fields(line)).Message);

    /// <summary>What is escaped byte by byte, as getmntent(3) does it, comes back as it was.</summary>
    [Fact]
    public void Whatever_is_escaped_comes_back() => Gen.String[Gen.Char[' ', '\u017f'], 1, 20].Array[1, 5].Sample(fields =>
    {
        string line = string.Join(' ', fields.Select(field => string.Concat(Encoding.UTF8.GetBytes(field).Select(letter => $"\\{Convert.ToString(letter, 8).PadLeft(3, '0')}"))));
        Assert.Equal(fields, Fields(line).Select(Assert.Single));
    });

    private static IReadOnlyList<IReadOnlyList<string>> Fields(string line) => LooptabText.Fields(Encoding.UTF8.GetBytes(line));
}
