using System.Globalization;
using LoopDaemon.Linux;

namespace LoopDaemon.EndToEnd.Tests;

/// <summary>A supervisor whose program is replaced under it, as an upgrade does it, by a good or a bad one.</summary>
public sealed class SupervisorTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("loopd-installed-").FullName;

    public SupervisorTests()
    {
        Requirements.SkipUnlessRootWithFuse();
        Shell.Bash($"cp -r '{Path.GetDirectoryName(Loopd.Program)}/.' '{_folder}'");
    }

    private string Installed => Path.Combine(_folder, "loopd");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void An_upgrade_takes_the_program_that_is_installed_now_unless_that_refuses()
    {
        using var loopd = Loopd.Of(Installed, "--supervise", "--max-loop", "3");
        string device = loopd.Bind(loopd.MakeFile("disk.img", 1 << 20));
        using FileDescriptor open = FileDescriptor.Open(device, OpenFlags.ReadWrite);
        int before = loopd.DaemonProcessId;
        File.Move(Installed, Installed + ".good");
        Install($"""
            echo "$@" >> '{_folder}/called'
            case $* in *--check-state*) if [ -e '{_folder}/refuses' ]; then echo 'of another time' >&2; exit 1; fi ;; esac
            exec '{Installed}.good' "$@"
            """);
        File.WriteAllText(Path.Combine(_folder, "refuses"), "");
        loopd.Signal("HUP");
        Loopd.WaitUntil(() => loopd.Log.Contains("the daemon stays", StringComparison.Ordinal), "the supervisor tells of the refusal");
        Assert.Contains("of another time", loopd.Log, StringComparison.Ordinal);
        Assert.Equal(before, loopd.DaemonProcessId);
        File.Delete(Path.Combine(_folder, "refuses"));
        loopd.Signal("HUP");
        loopd.WaitForAnother(before);
        string line = $"--mount {loopd.Mount} --control {loopd.Socket} --max-loop 3";
        Assert.Equal([$"{line} --check-state", $"{line} --check-state", line], File.ReadAllLines(Path.Combine(_folder, "called")));
        Assert.Equal(Errno.None, open.WriteAt(0, new byte[512]));
    }

    /// <summary>All of its files are gone by then: what a supervisor needs it has loaded.</summary>
    [Fact]
    public void A_supervisor_that_gives_up_says_what_is_dead_and_how_to_clean_up()
    {
        Requirements.SkipUnlessKernelLoop();
        using var loopd = Loopd.Of(Installed, "--supervise");
        string device = loopd.Bind(loopd.MakeFile("disk.img", 1 << 20));
        using var kernelDevice = new KernelLoopDevice(device);
        foreach (string library in Directory.EnumerateFiles(_folder))
            File.Delete(library);
        Install("exit 3");
        loopd.Signal("HUP");
        Loopd.WaitUntil(() => loopd.Log.Contains("the daemon stays", StringComparison.Ordinal), "the supervisor tells of the refusal");
        Shell.Run("kill", "-s", "KILL", loopd.DaemonProcessId.ToString(CultureInfo.InvariantCulture)).Succeeded();
        Assert.Equal(1, loopd.WaitForExit());
        Loopd.WaitUntil(() => loopd.Log.Contains("giving up", StringComparison.Ordinal), "the last line comes");
        Assert.Contains("did not get ready 5 times running (exit code 3)", loopd.Log, StringComparison.Ordinal);
        Assert.Contains($"{loopd.Mount} is dead from now on", loopd.Log, StringComparison.Ordinal);
        Assert.Contains($"loop devices on its files: {kernelDevice.Path}. ", loopd.Log, StringComparison.Ordinal);
        Assert.Contains("loopctl doctor --fix", loopd.Log, StringComparison.Ordinal);
        Assert.Equal(Errno.ENOTCONN, SystemCall.Open(device, OpenFlags.ReadOnly));
    }

    [Theory]
    [InlineData("--check-state")]
    [InlineData("--watchdog", "0")]
    public void What_does_not_go_with_it_is_refused(params string[] arguments) =>
        Assert.Equal(1, Shell.Run(Loopd.Program, ["--supervise", .. arguments]).ExitCode);

    /// <summary>Else its daemon's command line would have it too, and each supervisor would start another.</summary>
    [Fact]
    public void It_takes_no_value()
    {
        ShellResult refused = Shell.Run(Loopd.Program, "--supervise=true", "--mount", Path.Combine(_folder, "dev"), "--control", Path.Combine(_folder, "control"));
        Assert.Equal(1, refused.ExitCode);
    }

    private void Install(string script)
    {
        File.WriteAllText(Installed + ".new", $"#!/bin/sh\n{script}\n");
        File.SetUnixFileMode(Installed + ".new", (UnixFileMode)0b111_101_101);
        File.Move(Installed + ".new", Installed, overwrite: true);
    }
}
