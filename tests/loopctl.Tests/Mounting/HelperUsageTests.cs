using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine.Tests;

/// <summary>loopctl under the names of mount(8)'s helpers, called wrongly.</summary>
public sealed class HelperUsageTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Theory]
    [InlineData("mount.loopd", "no SPEC specified: mount.loopd SPEC DIR [options]")]
    [InlineData("mount.loopd", "no DIR specified: mount.loopd SPEC DIR [options]", "/a")]
    [InlineData("mount.loopd", "unexpected argument '/c': mount.loopd SPEC DIR [options]", "/a", "/b", "/c")]
    [InlineData("mount.loopd", "invalid option -- 'x'", "/a", "/b", "-x")]
    [InlineData("mount.loopd", "option requires an argument -- 'o'", "/a", "/b", "-o")]
    [InlineData("umount.loopd", "no DIR|DEV specified: umount.loopd DIR|DEV [options]")]
    [InlineData("umount.loopd", "invalid option -- 'o'", "/a", "-o", "ro")]
    public void Wrong_arguments_are_exit_code_1(string name, string complaint, params string[] words) =>
        Assert.Equal(new ProgramRun(1, "", $"{name}: {complaint}\nTry '{name} --help' for more information.\n"), ProgramRun.Of(Helper(name), words));

    [Theory]
    [InlineData("failed to parse offset: 'x': Invalid argument", "device-offset=x")]
    [InlineData("option passthrough must be auto, on or off, not 'x'", "passthrough=x")]
    [InlineData("option transfer needs a value: transfer=TRANSFER", "transfer")]
    [InlineData("keyfile= needs a transfer: give one with transfer=NAME", "keyfile=/k")]
    [InlineData("keyfile= goes with one transfer: with several, give each its own with transfer=NAME:key-file=FILE", "transfer=a,transfer=b,keyfile=/k")]
    [InlineData("'a:key-file=/k' has a key file of its own: leave out keyfile=", "transfer=a:key-file=/k,keyfile=/k")]
    [InlineData("offset= is mount's own: the device's is device-offset=", "offset=512")]
    [InlineData("sizelimit= is mount's own: the device's is device-size=", "sizelimit=512")]
    [InlineData("fstype= is the type of the file system in /a, not loopd", "fstype=loopd")]
    [InlineData("-t is loopd or loopd.TRANSFER, not 'ext4': the file system's type is -o fstype=ext4", "ro", "-t", "ext4")]
    [InlineData("the type loopd.xor names a transfer: leave out transfer=, or the type be loopd", "transfer=xor", "-t", "loopd.xor")]
    public void Wrong_options_are_exit_code_1(string complaint, string options, params string[] words)
    {
        Assert.SkipUnless(Credentials.IsRoot, "needs root");
        Assert.Equal(new ProgramRun(1, "", $"mount.loopd: {complaint}\n"), ProgramRun.Of(Helper("mount.loopd"), ["/a", "/b", "-o", options, .. words]));
    }

    [Theory]
    [InlineData("mount.loopd")]
    [InlineData("umount.loopd")]
    public void Help_and_version_go_by_the_name_that_was_called(string name)
    {
        Assert.StartsWith($"Usage:\n {name} ", ProgramRun.Of(Helper(name), "--help").Succeeded().Output, StringComparison.Ordinal);
        Assert.StartsWith($"{name} from LoopDaemon ", ProgramRun.Of(Helper(name), "-V").Succeeded().Output, StringComparison.Ordinal);
        Assert.StartsWith("loopctl from", ProgramRun.Of(Helper("another"), "-V").Succeeded().Output, StringComparison.Ordinal);
    }

    private string Helper(string name)
    {
        string path = Path.Combine(_directory.Path, name);
        if (!File.Exists(path))
            File.CreateSymbolicLink(path, ProgramRun.Loopctl);
        return path;
    }
}
