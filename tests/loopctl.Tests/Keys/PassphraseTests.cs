using System.Text;
using LoopDaemon.CommandLine.Keys;

namespace LoopDaemon.CommandLine.Tests.Keys;

/// <summary>Pass phrases from descriptors, most of them those of a process that bash starts.</summary>
public sealed class PassphraseTests
{
    [Theory]
    [InlineData("secret", "secret")]
    [InlineData("two words ", "two words ")]
    [InlineData("before\0behind", "before")]
    [InlineData("before\nbehind", "before")]
    [InlineData("carriage return\r", "carriage return\r")]
    public void It_ends_at_a_newline_or_a_nul(string written, string read)
    {
        using Passphrase passphrase = Derived.Read(Encoding.UTF8.GetBytes(written));
        Assert.Equal(read, Encoding.UTF8.GetString(passphrase.Bytes));
    }

    [Fact]
    public void Bytes_that_are_no_text_are_taken_as_they_are()
    {
        byte[] bytes = [.. Enumerable.Range(1, 255).Where(value => value != '\n').Select(value => (byte)value)];
        using Passphrase passphrase = Derived.Read(bytes);
        Assert.Equal(bytes, passphrase.Bytes);
    }

    [Fact]
    public void The_longest_one_is_taken_and_a_longer_one_refused()
    {
        byte[] longest = new byte[Passphrase.MaxBytes];
        longest.AsSpan().Fill((byte)'x');
        using Passphrase passphrase = Derived.Read(longest);
        Assert.Equal(longest, passphrase.Bytes);
        var refused = Assert.Throws<CommandException>(() => Derived.Read([.. longest, (byte)'x']));
        Assert.EndsWith("is longer than 4094 bytes", refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("xx", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Disposing_wipes_it_and_no_message_holds_it()
    {
        Passphrase passphrase = Derived.Read("secret"u8.ToArray());
        ReadOnlySpan<byte> bytes = passphrase.Bytes;
        Assert.Equal("a pass phrase of 6 bytes", passphrase.ToString());
        passphrase.Dispose();
        Assert.Equal(new byte[6], bytes);
        Assert.Throws<ObjectDisposedException>(() => { _ = passphrase.Bytes; });
    }

    [Fact]
    public void Several_from_one_descriptor_are_a_line_each() => Assert.Equal(
        """
        3 bytes: eno
        3 bytes: owt
        4 bytes: epip
        5 bytes: eerht
        the pass phrase from file descriptor 3 is empty

        """,
        Output("$1 read 3 3 0 3 3 3< <(printf 'one\\ntwo\\nthree') || true", "pipe"));

    [Theory]
    [InlineData("exec 3< <(printf 'secret\\nrest\\n')")]
    [InlineData("file=$(mktemp); printf 'secret\\nrest\\n' > $file; exec 3< $file; rm $file")]
    public void What_follows_the_newline_is_left_for_others(string open) =>
        Assert.Equal("6 bytes: terces\nrest\n", Output($"{open}; $1 read 3; cat <&3"));

    [Fact]
    public void A_slow_writer_is_waited_for_also_where_the_pipe_does_not_block() => Assert.Equal(
        "6 bytes: terces\n",
        Output("""
            exec 3< <(printf sec; sleep 1; printf 'ret\n')
            perl -e 'use Fcntl; open(PIPE, "<&=3"); fcntl(PIPE, F_SETFL, O_RDONLY | O_NONBLOCK) or die'
            $1 read 3
            """));

    [Theory]
    [InlineData("3< /dev/null", "the pass phrase from file descriptor 3 is empty\n")]
    [InlineData("3< <(echo)", "the pass phrase from file descriptor 3 is empty\n")]
    [InlineData("3< /", "cannot read the pass phrase from file descriptor 3: Is a directory\n")]
    [InlineData("3> /dev/null", "cannot read the pass phrase from file descriptor 3: Bad file descriptor\n")]
    public void What_holds_no_pass_phrase_is_refused(string redirection, string sentence) =>
        Assert.Equal(sentence, Output($"$1 read 3 {redirection} || true"));

    /// <summary>The runtime has some open that could be read, /dev/urandom among them.</summary>
    [Fact]
    public void Descriptors_that_the_parent_did_not_hand_on_are_refused()
    {
        string[] numbers = ["-1", .. Enumerable.Range(3, 60).Select(number => $"{number}"), "99999"];
        Assert.Equal(
            string.Concat(numbers.Select(number => $"cannot read the pass phrase from file descriptor {number}: Bad file descriptor\n")),
            Output($"for fd in /proc/self/fd/*; do fd=${{fd##*/}}; [ $fd -le 2 ] || eval \"exec $fd>&-\"; done; $1 read {string.Join(' ', numbers)} || true"));
    }

    private static string Output(string script, string input = "") =>
        Encoding.UTF8.GetString(Bash.Run(script, Encoding.UTF8.GetBytes(input), Environment.ProcessPath!));
}
