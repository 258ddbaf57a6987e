using System.Globalization;
using LoopDaemon.Daemon.Supervision;
using LoopDaemon.Linux;

namespace LoopDaemon.Daemon.Tests;

/// <summary>A supervisor as a process, with daemons that do what is wanted of them.</summary>
public sealed class SupervisorTests
{
    [Fact]
    public void What_a_daemon_kept_comes_to_the_next_in_order_with_names_and_content()
    {
        using Supervised supervised = new Supervised()
            .Daemon(1, "keep-connection", "keep a first", "keep b second", "keep a third", "ready", "die")
            .Daemon(2, "read", "descriptors", "exit 0").Start();
        Assert.Equal(0, supervised.WaitForExit());
        string[] told = supervised.Told(2, "exits");
        int process = supervised.DaemonId(2);
        Assert.Equal($"process {process}, LISTEN_PID={process}, session {process}", told[0]);
        Assert.Equal("LISTEN_FDS=4 LISTEN_FDNAMES=fuse:a:b:a", told[1]);
        Assert.Equal(["3: ", "4: first", "5: second", "6: third"], told[3..7]);
        // Those and no more: the supervisor's own are closed.
        Assert.Equal(["/memfd:first", "/memfd:fuse", "/memfd:second", "/memfd:third"], told[7].Split(' ').Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_first_daemon_is_told_of_a_store_and_finds_nothing_in_it()
    {
        using Supervised supervised = new Supervised().Daemon(1, "exit 0").Start("--watchdog", "17");
        Assert.Equal(0, supervised.WaitForExit());
        string[] told = supervised.Told(1, "exits");
        Assert.Equal("LISTEN_FDS=0 LISTEN_FDNAMES=", told[1]);
        Assert.Equal("FDSTORE=8192 WATCHDOG_USEC=17000000", told[2]);
        Assert.Equal("", supervised.Log.Trim());
    }

    [Fact]
    public void An_open_file_description_is_kept_once_and_a_name_dropped_with_all_it_has()
    {
        using Supervised supervised = new Supervised()
            .Daemon(1, "keep-connection", "keep a,b,a once", "keep c one", "keep c two", "keep d last", "drop c", "ready", "die")
            .Daemon(2, "exit 0").Start();
        Assert.Equal(0, supervised.WaitForExit());
        Assert.Equal("LISTEN_FDS=3 LISTEN_FDNAMES=fuse:a:d", supervised.Told(2, "exits")[1]);
    }

    /// <summary>A colon in a name would shift all that come behind it.</summary>
    [Fact]
    public void A_name_that_cannot_be_told_is_replaced()
    {
        using Supervised supervised = new Supervised()
            .Daemon(1, "keep a:b first", $"keep {new string('n', 256)} second", "keep-connection", "ready", "die")
            .Daemon(2, "exit 0").Start();
        Assert.Equal(0, supervised.WaitForExit());
        Assert.Equal("LISTEN_FDS=3 LISTEN_FDNAMES=stored:stored:fuse", supervised.Told(2, "exits")[1]);
    }

    [Fact]
    public void A_killed_daemon_is_followed_by_the_next()
    {
        using Supervised supervised = new Supervised()
            .Daemon(1, "keep-connection", "ready", "hang").Daemon(2, "ready", "hang").Daemon(3, "exit 0").Start();
        supervised.Told(1, "ready");
        supervised.SignalDaemon(1, "KILL");
        supervised.Told(2, "ready");
        supervised.SignalDaemon(2, "USR1");
        Assert.Equal(0, supervised.WaitForExit());
        Assert.Equal(3, supervised.Daemons);
        Assert.Contains("has ended (signal 9)", supervised.Log, StringComparison.Ordinal);
    }

    [Fact]
    public void After_five_failed_starts_it_gives_up_and_says_what_is_left()
    {
        using Supervised supervised = new Supervised()
            .Daemon(1, "keep-connection", "ready", "exit 3").Daemon(0, "exit 4").Start("--mount", "/no/such/mount");
        Assert.Equal(1, supervised.WaitForExit());
        Assert.Equal(6, supervised.Daemons);
        Assert.Contains("did not get ready 5 times running (exit code 4): giving up. /no/such/mount is out of sight", supervised.Log, StringComparison.Ordinal);
    }

    [Fact]
    public void A_daemon_that_gets_ready_makes_up_for_failed_starts()
    {
        using var supervised = new Supervised();
        supervised.Daemon(1, "keep-connection", "ready", "exit 3").Daemon(0, "exit 4").Daemon(6, "ready", "exit 3").Daemon(11, "exit 0").Start();
        Assert.Equal(0, supervised.WaitForExit());
        Assert.Equal(11, supervised.Daemons);
    }

    [Fact]
    public void Daemons_killed_before_they_are_ready_are_no_failed_starts()
    {
        using Supervised supervised = new Supervised()
            .Daemon(1, "keep-connection", "ready", "die").Daemon(0, "die").Daemon(8, "exit 0").Start();
        Assert.Equal(0, supervised.WaitForExit());
        Assert.Equal(8, supervised.Daemons);
    }

    [Fact]
    public void Daemons_killed_before_they_have_anything_to_keep_are_followed_by_the_next()
    {
        using Supervised supervised = new Supervised().Daemon(0, "die").Daemon(7, "exit 0").Start();
        Assert.Equal(0, supervised.WaitForExit());
        Assert.Equal(7, supervised.Daemons);
    }

    [Theory]
    [InlineData(7, "exit 7")]
    [InlineData(1, "exit 1")]
    [InlineData(128 + 9, "ready", "die")]
    public void A_daemon_that_keeps_no_mount_ends_the_supervisor_with_its_exit_code(int code, params string[] end)
    {
        using Supervised supervised = new Supervised().Daemon(1, ["keep a b", .. end]).Start();
        Assert.Equal(code, supervised.WaitForExit());
        Assert.Equal(1, supervised.Daemons);
        Assert.Equal("", supervised.Log.Trim());
    }

    /// <summary>Such a process is told nothing of its children's ends by the kernel.</summary>
    [Fact]
    public void A_supervisor_born_ignoring_SIGCHLD_learns_how_its_daemon_has_ended()
    {
        using Supervised supervised = new Supervised()
            .Daemon(1, "keep-connection", "ready", "die").Daemon(2, "drop fuse", "exit 7").StartBy("trap '' CHLD; exec \"$0\" \"$@\"");
        Assert.Equal(7, supervised.WaitForExit());
    }

    [Theory]
    [InlineData("exec \"$0\" \"$@\" 2> /dev/full")]
    [InlineData("exec \"$0\" \"$@\" 2>&-")]
    public void A_log_that_cannot_be_written_ends_nothing(string script)
    {
        using Supervised supervised = new Supervised()
            .Daemon(1, "keep-connection", "ready", "die").Daemon(2, "ready", "die").Daemon(3, "exit 0").StartBy(script);
        Assert.Equal(0, supervised.WaitForExit());
        Assert.Equal(3, supervised.Daemons);
    }

    [Fact]
    public void A_log_that_nobody_reads_stops_nothing()
    {
        using var supervised = new Supervised();
        supervised.Daemon(1, "keep-connection", "ready", "die").Daemon(2, "ready", "die").Daemon(3, "exit 0")
            // A pipe that is full, and whose reader sleeps.
            .StartBy("""mkfifo "$2/pipe"; exec 3<> "$2/pipe"; dd if=/dev/zero of="$2/pipe" bs=4096 oflag=nonblock status=none 2> /dev/null; exec "$0" "$@" 2>&3 3>&-""");
        Assert.Equal(0, supervised.WaitForExit());
        Assert.Equal(3, supervised.Daemons);
    }

    /// <summary>A terminal sends its Ctrl-C to a whole process group; twice would mean to take away what is open.</summary>
    [Theory]
    [InlineData("INT")]
    [InlineData("TERM")]
    public void Ctrl_C_reaches_the_daemon_once(string signal)
    {
        using Supervised supervised = new Supervised().Daemon(1, "keep-connection", "ready", "wait", "wait-more", "exit 0").Start();
        supervised.Told(1, "ready");
        supervised.SignalGroup(signal);
        Assert.Equal(0, supervised.WaitForExit());
        Assert.Equal(["heard SIGINT", "heard no more"], supervised.Told(1, "exits")[^3..^1]);
    }

    [Fact]
    public void A_second_signal_is_passed_on_again()
    {
        using Supervised supervised = new Supervised().Daemon(1, "keep-connection", "ready", "wait", "wait", "drop fuse", "exit 1").Start();
        supervised.Told(1, "ready");
        supervised.Signal("INT");
        supervised.Told(1, "heard SIGINT");
        supervised.Signal("TERM");
        Assert.Equal(1, supervised.WaitForExit());
        Assert.Equal(["heard SIGINT", "heard SIGINT"], supervised.Told(1, "exits")[^3..^1]);
    }

    /// <summary>A second SIGINT would mean to take away what is open.</summary>
    [Fact]
    public void A_daemon_that_is_taking_over_hears_of_the_end_when_it_is_ready_and_once()
    {
        using Supervised supervised = new Supervised()
            .Daemon(1, "keep-connection", "ready", "die").Daemon(2, "wait-for go", "wait-more", "ready", "wait", "wait-more", "exit 0").Start();
        supervised.Told(2, "FDSTORE");
        supervised.Signal("TERM");
        supervised.WaitForLog("ending process");
        supervised.Write("go", "");
        Assert.Equal(0, supervised.WaitForExit());
        Assert.Equal(["heard no more", "ready", "heard SIGINT", "heard no more"], supervised.Told(2, "exits")[^5..^1]);
    }

    [Fact]
    public void A_daemon_that_dies_while_it_ends_is_followed_by_one_that_ends()
    {
        using Supervised supervised = new Supervised()
            .Daemon(1, "keep-connection", "ready", "wait", "die").Daemon(2, "ready", "wait", "wait-more", "exit 0").Start();
        supervised.Told(1, "ready");
        supervised.Signal("INT");
        Assert.Equal(0, supervised.WaitForExit());
        Assert.Equal(["heard SIGINT", "heard no more"], supervised.Told(2, "exits")[^3..^1]);
    }

    [Fact]
    public void A_first_start_is_ended_at_once()
    {
        using Supervised supervised = new Supervised().Daemon(1, "wait", "exit 0").Start();
        supervised.Told(1, "FDSTORE");
        supervised.Signal("TERM");
        Assert.Equal(0, supervised.WaitForExit());
    }

    [Fact]
    public void SIGHUP_has_the_daemon_make_way_for_the_next()
    {
        using Supervised supervised = new Supervised()
            .Daemon(1, "keep-connection", "ready", "wait", "exit 75").Daemon(2, "ready", "wait", "exit 0").Start();
        supervised.Write("check", "0");
        supervised.Told(1, "ready");
        supervised.Signal("HUP");
        supervised.Told(2, "ready");
        Assert.Equal("heard SIGTERM", supervised.Told(1, "exits")[^2]);
        supervised.Signal("INT");
        Assert.Equal(0, supervised.WaitForExit());
        Assert.Equal(2, supervised.Daemons);
        Assert.DoesNotContain("WRN", supervised.Log, StringComparison.Ordinal);
    }

    [Fact]
    public void SIGHUP_changes_nothing_where_the_program_refuses()
    {
        using Supervised supervised = new Supervised().Daemon(1, "keep-connection", "ready", "wait", "exit 0").Start();
        supervised.Write("check", "1");
        supervised.Told(1, "ready");
        supervised.Signal("HUP");
        supervised.WaitForLog("the daemon stays");
        // Its own words, and what they are of: the daemon's options may be in the environment.
        Assert.Contains("check in the same environment, NOTIFY_SOCKET=\n", supervised.Log, StringComparison.Ordinal);
        Assert.Contains("cannot go on where it is (exit code 1)", supervised.Log, StringComparison.Ordinal);
        supervised.Signal("INT");
        Assert.Equal(0, supervised.WaitForExit());
        Assert.Equal("heard SIGINT", supervised.Told(1, "exits")[^2]);
    }

    [Fact]
    public void SIGHUP_to_a_daemon_that_ends_or_keeps_no_mount_is_not_passed_on()
    {
        using Supervised supervised = new Supervised().Daemon(1, "ready", "wait-for go", "keep-connection", "barrier", "wait", "wait-more", "exit 0").Start();
        supervised.Write("check", "0");
        supervised.Told(1, "ready");
        supervised.Signal("HUP");
        supervised.WaitForLog("keeps nothing");
        supervised.Write("go", "");
        supervised.Told(1, "barrier");
        supervised.Signal("TERM");
        supervised.Told(1, "heard SIGINT");
        supervised.Signal("HUP");
        Assert.Equal(0, supervised.WaitForExit());
        Assert.Equal(["heard SIGINT", "heard no more"], supervised.Told(1, "exits")[^3..^1]);
    }

    [Fact]
    public void A_barrier_is_answered()
    {
        using Supervised supervised = new Supervised().Daemon(1, "keep a b", "barrier", "exit 0").Start();
        Assert.Equal(0, supervised.WaitForExit());
        Assert.Contains("barrier None", supervised.Told(1, "exits"));
    }

    [Fact]
    public void Strangers_are_not_heard()
    {
        Assert.SkipUnless(Credentials.IsRoot, "needs root, to be somebody else");
        using Supervised supervised = new Supervised()
            .Daemon(1, "keep-connection", "keep a b", "barrier", "address", "wait-for go", "barrier", "die").Daemon(2, "exit 0").Start();
        string address = supervised.Told(1, "@loopd")[^1];
        using FileDescriptor evil = FileDescriptor.CreateMemory("evil", 0);
        // Of the failed starts and the store nothing changes: not ready, nothing stored, nothing removed.
        AsSomebodyElse.Send(address, "READY=1\nFDSTORE=1\nFDNAME=evil", evil);
        AsSomebodyElse.Send(address, "FDSTOREREMOVE=1\nFDNAME=a", null);
        AsSomebodyElse.Send(address, "WATCHDOG=trigger", null);
        supervised.Write("go", "");
        Assert.Equal(0, supervised.WaitForExit());
        Assert.Equal("LISTEN_FDS=2 LISTEN_FDNAMES=fuse:a", supervised.Told(2, "exits")[1]);
        Assert.Contains("did not get ready (signal 9)", supervised.Log, StringComparison.Ordinal);
    }

    [Fact]
    public void Whoever_floods_the_socket_does_not_keep_the_supervisor_from_its_work()
    {
        Assert.SkipUnless(Credentials.IsRoot, "needs root, to be somebody else");
        using Supervised supervised = new Supervised()
            .Daemon(1, "keep-connection", "ready", "address", "wait", "exit 0").Start();
        string address = supervised.Told(1, "@loopd")[^1];
        using var stop = new CancellationTokenSource();
        Thread[] floods = [.. Enumerable.Range(0, 3).Select(_ => AsSomebodyElse.Flood(address, stop.Token))];
        supervised.Signal("INT");
        int code = supervised.WaitForExit();
        stop.Cancel();
        foreach (Thread flood in floods)
            flood.Join();
        Assert.Equal(0, code);
    }

    [Fact]
    public void A_daemon_that_gives_no_sign_of_life_is_ended_and_followed_by_the_next()
    {
        using Supervised supervised = new Supervised()
            .Daemon(1, "keep-connection", "ready", "ping 3", "hang").Daemon(2, "exit 0").Start("--watchdog", "1");
        Assert.Equal(0, supervised.WaitForExit());
        supervised.Told(1, "pinged");
        Assert.Contains("no sign of life for 1 s", supervised.Log, StringComparison.Ordinal);
        Assert.Contains("has ended (signal 6)", supervised.Log, StringComparison.Ordinal);
    }

    [Fact]
    public void A_daemon_that_says_itself_that_it_hangs_is_ended()
    {
        using Supervised supervised = new Supervised()
            .Daemon(1, "keep-connection", "ready", "say WATCHDOG=trigger", "hang").Daemon(2, "exit 0").Start();
        Assert.Equal(0, supervised.WaitForExit());
        Assert.Contains("has ended (signal 6)", supervised.Log, StringComparison.Ordinal);
    }

    [Fact]
    public void A_daemon_outlives_its_supervisor()
    {
        using Supervised supervised = new Supervised().Daemon(1, "keep-connection", "ready", "wait-for go", "wait-more", "exit 5").Start();
        supervised.Told(1, "ready");
        supervised.Signal("KILL");
        supervised.WaitForDeath();
        supervised.Write("go", "");
        Assert.Equal("heard no more", supervised.Told(1, "exits 5")[^2]);
    }

    /// <summary>Under systemd a supervisor of the user's own is a service as any other.</summary>
    [Fact]
    public void A_manager_of_its_own_hears_that_the_daemon_is_ready_and_how_it_is()
    {
        using var manager = new NotifySocket();
        using Supervised supervised = new Supervised()
            .Daemon(1, "say STATUS=well", "say WATCHDOG=1", "ready", "exit 0")
            .StartBy($"NOTIFY_SOCKET={manager.Address} exec \"$0\" \"$@\"");
        Assert.Equal(0, supervised.WaitForExit());
        Assert.True(manager.TryReceive(out Dictionary<string, string> status, out _, out _));
        Assert.Equal(new() { ["STATUS"] = "well" }, status);
        Assert.True(manager.TryReceive(out Dictionary<string, string> ready, out _, out _));
        Assert.Equal(new() { ["READY"] = "1" }, ready);
        Assert.False(manager.TryReceive(out _, out _, out _));
    }

    [Fact]
    public void Descriptors_that_it_was_started_with_go_to_the_daemon()
    {
        using var supervised = new Supervised();
        supervised.Write("first", "one");
        supervised.Write("second", "two");
        supervised.Daemon(1, "read", "exit 0")
            .StartBy("LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=control:other exec \"$0\" \"$@\" 3< \"$2/first\" 4< \"$2/second\"");
        Assert.Equal(0, supervised.WaitForExit());
        string[] told = supervised.Told(1, "exits");
        Assert.Equal("LISTEN_FDS=2 LISTEN_FDNAMES=control:other", told[1]);
        Assert.Equal(["3: one", "4: two"], told[3..5]);
    }

    [Fact]
    public void It_is_told_when_nothing_will_outlive_the_daemon()
    {
        using Supervised supervised = new Supervised().Daemon(1, "exit 0").Start("--engine", "uring");
        Assert.Equal(0, supervised.WaitForExit());
        Assert.Contains("WRN supervisor: with --engine uring nothing outlives the daemon", supervised.Log, StringComparison.Ordinal);
    }

    /// <summary>So many that their numbers in the child reach as far as a supervisor's own usually do.</summary>
    [Fact]
    public void Thousands_of_descriptors_come_back()
    {
        string[] names = [.. Enumerable.Range(0, 2000).Select(i => $"b{i}.1")];
        using Supervised supervised = new Supervised()
            .Daemon(1, ["keep-connection", .. names.Select(name => $"keep {name} {name}"), "ready", "die"])
            .Daemon(2, "read", "exit 0").Start();
        Assert.Equal(0, supervised.WaitForExit(60));
        string[] told = supervised.Told(2, "exits");
        Assert.Equal(names.Select((name, i) => string.Create(CultureInfo.InvariantCulture, $"{4 + i}: {name}")), told[4..^1]);
    }
}
