# shellcheck shell=bash
# The scripts in single quotes are the inner shell's, and the variables are those of run.sh.
# shellcheck disable=SC2016,SC2154
# What the daemon does under systemd, in a container. Each test has a machine of its own.

enable() { # UNIT...
    systemctl --root="$machine_root" --quiet enable "$@"
}

# Whether this process may at all, by the capability's number.
has_capability() { # NUMBER
    [ $((0x$(awk '/^CapBnd/ { print $2 }' /proc/self/status) >> $1 & 1)) = 1 ]
}

test_ready_when_systemd_says_started() {
    enable loopd.service
    boot
    [ "$(property ActiveState)" = active ]
    # By the first moment that it is active, everything is there.
    inside 'systemctl restart loopd.service; grep -q " /run/loopd/dev .* fuse.loopd " /proc/self/mountinfo; [ -e /run/loopd/dev/loop0 ]; loopctl -l'
    [ "$(property StatusText)" = "0 of 8 devices bound, 0 open" ]
    inside 'truncate -s 1M /srv/a; loopctl -f /srv/a'
    within 5 status_is "1 of 8 devices bound, 0 open"
    inside '[ "$(stat -Lc %a /run/loopd)" = 755 ] && [ "$(stat -c %a /run/loopd/control)" = 600 ]'
}

status_is() { [ "$(property StatusText)" = "$1" ]; }

test_mounts_for_everybody_within_its_sandbox() {
    enable loopd.service
    boot
    local process
    process=$(property MainPID)
    inside '[ "$(readlink "/proc/$1/ns/mnt")" = "$(readlink /proc/1/ns/mnt)" ]' "$process"
    inside 'grep -Eq "^Seccomp:\s*2" "/proc/$1/status" && grep -Eq "^NoNewPrivs:\s*1" "/proc/$1/status" && grep -E "^CapBnd" "/proc/$1/status"' "$process"
    # Nothing that it wanted was refused, but for what this machine itself may not.
    if has_journal 'refused|not permitted|would not outlive'; then return 1; fi
    if has_capability 24; then
        inside '[ "$(cat "/proc/$1/oom_score_adj")" = -900 ]' "$process"
        if has_journal 'CAP_SYS_RESOURCE|cannot'; then return 1; fi
    else
        echo "note: without CAP_SYS_RESOURCE here, locked buffers and PR_SET_IO_FLUSHER are not looked at"
    fi
    # Another user's backing file, and passthrough, need what is left of its capabilities.
    inside 'truncate -s 1M /srv/theirs; chown somebody /srv/theirs; chmod 600 /srv/theirs
        loopctl --direct-io=on --passthrough=off 0 /srv/theirs; head -c 4096 /dev/urandom > /run/data
        dd if=/run/data of=/run/loopd/dev/loop0 conv=notrunc,fsync status=none; cmp -n 4096 /run/data /srv/theirs
        truncate -s 1M /srv/mine; loopctl 1 /srv/mine; dd if=/run/data of=/run/loopd/dev/loop1 conv=notrunc,fsync status=none; cmp -n 4096 /run/data /srv/mine'
    # The verdict is systemd's, of 10 (all open) to 0.
    local verdict score
    verdict=$(inside 'systemd-analyze security --no-pager loopd.service')
    echo "$verdict"
    score=$(echo "$verdict" | sed -n 's/.*Overall exposure level for loopd.service: \([0-9.]*\).*/\1/p')
    echo "note: systemd-analyze security loopd.service: $score"
    awk -v score="$score" 'BEGIN { exit !(score != "" && score < 4) }'
}

test_ten_kills_under_verified_writes() {
    enable loopd.service
    boot
    make_disk
    mount_disk
    start_writers
    local before
    for _ in {1..10}; do
        before=$(restarts)
        sleep "0.$((RANDOM % 10))"
        inside 'kill -9 "$(systemctl show -P MainPID loopd.service)"'
        within 30 is_restarted "$before"
    done
    [ "$(restarts)" -ge 10 ]
    # What the manager keeps, it keeps over a reload and an upgrade of its own.
    inside 'systemctl daemon-reload; systemctl daemon-reexec; kill -9 "$(systemctl show -P MainPID loopd.service)"'
    within 30 is_restarted 10
    [ "$(inside 'journalctl -b -o cat -u loopd.service | grep -c "going on with /run/loopd/dev: 1 devices"')" -ge 10 ]
    check_writers
}

test_restart_under_load() {
    enable loopd.service
    boot
    make_disk
    mount_disk
    start_writers
    local before
    for _ in {1..5}; do
        before=$(property MainPID)
        LIMIT=60 inside 'systemctl restart loopd.service'
        [ "$(property MainPID)" != "$before" ]
        [ "$(property ActiveState)" = active ]
        sleep 0.5
    done
    [ "$(restarts)" = 0 ]
    [ "$(inside 'journalctl -b -o cat -u loopd.service | grep -c "parked: /run/loopd/dev waits"')" = 5 ]
    check_writers
}

test_upgrade_under_load() {
    enable loopd.service
    boot
    make_disk
    mount_disk
    start_writers
    local before
    before=$(inside 'stat -Lc %i "/proc/$(systemctl show -P MainPID loopd.service)/exe"')
    within 20 inside '[ "$(ls /run/writers/sums1 | wc -l)" -ge 10 ]'
    # As a package manager does: new files beside the old ones, then renamed over them.
    inside 'cp -a /usr/lib/loopd /usr/lib/loopd.new; mv /usr/lib/loopd /usr/lib/loopd.old; mv /usr/lib/loopd.new /usr/lib/loopd; rm -r /usr/lib/loopd.old'
    inside 'loopd --check-state'
    LIMIT=60 inside 'systemctl restart loopd.service'
    [ "$(inside 'stat -Lc %i "/proc/$(systemctl show -P MainPID loopd.service)/exe"')" != "$before" ]
    # They have not only not failed, but go on.
    inside 'touch /run/upgraded'
    within 20 inside '[ -n "$(find /run/writers/sums1 -newer /run/upgraded)" ] && [ -n "$(find /run/writers/sums2 -newer /run/upgraded)" ]'
    check_writers
}

test_stop_leaves_nothing() {
    enable loopd.service
    boot
    inside 'truncate -s 1M /srv/a; loopctl -f /srv/a'
    inside 'systemctl stop loopd.service'
    [ "$(property ActiveState)" = inactive ]
    [ "$(property Result)" = success ]
    if inside 'grep fuse.loopd /proc/self/mountinfo'; then return 1; fi
    [ "$(inside 'ls -A /run/loopd')" = control ]
    inside 'systemctl stop loopd.socket'
    if inside 'ls -A /run/loopd/control' 2> /dev/null; then return 1; fi
    # And again from the start.
    inside 'systemctl start loopd.service; [ -e /run/loopd/dev/loop0 ]; [ -z "$(loopctl -ln)" ]'
}

test_stop_waits_for_an_open_device_and_names_the_holder() {
    enable loopd.service
    boot
    make_disk
    mount_disk
    inside 'truncate -s 1M /srv/a; loopctl 5 /srv/a; systemd-run --quiet --unit holder sh -c "exec 9< /run/loopd/dev/loop5; exec sleep 600"'
    within 5 inside 'ls -l "/proc/$(systemctl show -P MainPID holder)/fd" | grep loop5'
    inside 'systemctl stop --no-block loopd.service'
    within 20 has_journal 'still open: .*/mnt/disk'
    has_journal 'still open: .*loop5 by .*sleep'
    # Served as ever until the last close.
    inside 'head -c 8M /dev/urandom > /mnt/disk/file; dd of=/mnt/disk/file oflag=nocache conv=notrunc,fdatasync count=0 status=none; cat /mnt/disk/file > /dev/null'
    [ "$(property ActiveState)" = deactivating ]
    inside 'systemctl stop holder; umount /mnt/disk'
    within 20 inside '[ "$(systemctl show -P ActiveState loopd.service)" = inactive ]'
    [ "$(property Result)" = success ]
    if inside 'grep fuse.loopd /proc/self/mountinfo'; then return 1; fi
    [ "$(inside 'ls -A /run/loopd')" = control ]
}

test_first_call_starts_the_daemon() {
    enable loopd.socket
    systemctl --root="$machine_root" --quiet disable loopd.service
    enable loopd.socket
    boot
    [ "$(property ActiveState)" = inactive ]
    inside 'truncate -s 1M /srv/a; loopctl 3 /srv/a'
    [ "$(property ActiveState)" = active ]
    # Its socket is the unit's and goes to the next daemon; killed, it is there at once.
    local before
    before=$(restarts)
    inside 'kill -9 "$(systemctl show -P MainPID loopd.service)"; loopctl 3'
    within 10 is_restarted "$before"
    inside 'loopctl 3 | grep /srv/a'
    # Ended by its own command it stays down, until the next call.
    inside 'loopctl shutdown'
    within 10 inside '[ "$(systemctl show -P ActiveState loopd.service)" = inactive ]'
    inside '[ -z "$(loopctl -ln)" ]'
    [ "$(property ActiveState)" = active ]
}

test_watchdog_ends_a_daemon_that_hangs() {
    mkdir -p "$machine_root/etc/systemd/system/loopd.service.d"
    printf '[Service]\nWatchdogSec=3s\n' > "$machine_root/etc/systemd/system/loopd.service.d/watchdog.conf"
    enable loopd.service
    boot
    make_disk
    mount_disk
    start_writers
    # It is left alone while it works, though under load.
    sleep 6
    local before
    before=$(restarts)
    [ "$before" = 0 ]
    inside 'kill -STOP "$(systemctl show -P MainPID loopd.service)"'
    within 20 is_restarted "$before"
    has_journal 'Watchdog timeout'
    check_writers
}

test_looptab_is_applied_at_boot() {
    mkdir -p "$machine_root/etc/loopd"
    head -c 4096 /dev/urandom > "$machine_root/etc/loopd/a.key"
    truncate -s 1M "$machine_directory/data/a"
    truncate -s 2M "$machine_directory/data/b"
    printf 'loop3 /srv/a /etc/loopd/a.key transfer=xor\nother /srv/b - ro,nofail\ngone /srv/none - nofail\n' > "$machine_root/etc/loopd/looptab"
    enable loopd.service loopd-looptab.service
    boot
    [ "$(property ActiveState loopd-looptab.service)" = active ]
    inside 'loopctl -l'
    inside 'loopctl -lnO NAME,BACK-FILE | grep -E "loop3 +/srv/a$"; loopctl -lnO REF,BACK-FILE,RO | grep -E "other +/srv/b +1$"'
    # What is added is bound by a reload, and what is there stays.
    inside 'truncate -s 1M /srv/c; echo "loop6 /srv/c" >> /etc/loopd/looptab; systemctl reload loopd-looptab.service; loopctl -lnO NAME | grep loop6'
}

test_fstab_mounts_a_device_of_looptab() {
    mkdir -p "$machine_root/etc/loopd" "$machine_root/mnt/plain"
    truncate -s 64M "$machine_directory/data/plain"
    mkfs.ext4 -q "$machine_directory/data/plain"
    echo 'loop6 /srv/plain' > "$machine_root/etc/loopd/looptab"
    echo '/run/loopd/dev/loop6 /mnt/plain ext4 loop,nofail,x-systemd.requires=loopd-looptab.service 0 0' > "$machine_root/etc/fstab"
    enable loopd.service loopd-looptab.service
    boot
    within 20 inside 'mountpoint -q /mnt/plain'
    if inside 'journalctl -b --no-pager -o cat | grep -i "ordering cycle"'; then return 1; fi
    inside 'echo kept > /mnt/plain/file'
    leave reboot
    boot
    within 20 inside 'grep -q kept /mnt/plain/file'
}

test_fstab_is_mounted_at_boot_and_clean_after_a_reboot() {
    enable loopd.service
    boot
    make_disk
    inside 'echo "/srv/disk.img /mnt/disk loopd $1,x-systemd.requires=loopd.service 0 0" > /etc/fstab' "$disk_options"
    leave reboot
    boot
    inside 'findmnt -no FSTYPE,SOURCE /mnt/disk | grep -E "^ext4 +/dev/loop"'
    [ "$(property ActiveState mnt-disk.mount)" = active ]
    # Ahead of local-fs.target, and without a circle of units.
    if inside 'journalctl -b --no-pager -o cat | grep -i "ordering cycle"'; then return 1; fi
    inside 'head -c 20M /dev/urandom > /mnt/disk/file; sha256sum < /mnt/disk/file > /srv/sum'
    leave reboot
    echo > "$machine_root/etc/fstab"
    boot
    check_disk
    mount_disk
    inside '[ "$(sha256sum < /mnt/disk/file)" = "$(cat /srv/sum)" ]; umount /mnt/disk'
}

test_reboot_with_a_file_system_that_was_mounted_by_hand() {
    enable loopd.service
    boot
    make_disk
    mount_disk
    inside 'head -c 20M /dev/urandom > /mnt/disk/file; sha256sum < /mnt/disk/file > /srv/sum'
    leave reboot
    boot
    check_disk
    mount_disk
    inside '[ "$(sha256sum < /mnt/disk/file)" = "$(cat /srv/sum)" ]; umount /mnt/disk'
}

test_reboot_ends_the_daemon_ahead_of_its_mount() {
    # A journal that is there after the reboot, and a stop that takes its time: whatever does not wait for it comes first.
    mkdir -p "$machine_root/var/log/journal" "$machine_root/etc/systemd/system/loopd.service.d"
    rm "$machine_root/etc/systemd/journald.conf.d/tests.conf"
    printf '[Service]\nExecStop=\nExecStop=sleep 2\n%s\n' "$(grep ^ExecStop= "$machine_root/usr/lib/systemd/system/loopd.service")" \
        > "$machine_root/etc/systemd/system/loopd.service.d/slow.conf"
    enable loopd.service
    boot
    # The manager learns of a mount a moment later.
    within 10 inside '[ "$(systemctl show -P ActiveState run-loopd-dev.mount)" = active ]'
    local begin=$SECONDS
    leave reboot
    [ $((SECONDS - begin)) -lt 15 ]
    boot
    inside 'journalctl -b -1 --no-pager -o cat -u loopd.service > /run/last; cat /run/last; grep -qx ended /run/last'
    # systemd has a unit for each mount, and stops them all.
    if inside 'grep -E "unmounted from outside|Failed with result" /run/last'; then return 1; fi
}

test_stop_of_a_daemon_that_dies_meanwhile_waits_for_nobody() {
    enable loopd.service
    boot
    inside 'truncate -s 1M /srv/a; loopctl -f /srv/a'
    inside 'kill -STOP "$(systemctl show -P MainPID loopd.service)"; systemctl stop --no-block loopd.service'
    within 10 inside 'pgrep -f "^/usr/bin/loopctl shutdown"'
    local begin=$SECONDS
    inside 'kill -9 "$(systemctl show -P MainPID loopd.service)"'
    within 20 inside '[ "$(systemctl show -P ActiveState loopd.service)" != deactivating ]'
    [ $((SECONDS - begin)) -lt 10 ]
    # What it could not take down itself, the next one clears away.
    inside 'systemctl start loopd.service; [ "$(grep -c " /run/loopd/dev " /proc/self/mountinfo)" = 1 ]; truncate -s 1M /srv/b; loopctl 2 /srv/b; [ "$(stat -c %s /run/loopd/dev/loop2)" = 1048576 ]'
}

test_stop_that_runs_out_of_time_leaves_what_the_next_start_clears_away() {
    mkdir -p "$machine_root/etc/systemd/system/loopd.service.d"
    printf '[Service]\nTimeoutStopSec=3s\n' > "$machine_root/etc/systemd/system/loopd.service.d/impatient.conf"
    enable loopd.service
    boot
    inside 'truncate -s 1M /srv/a; loopctl 5 /srv/a; systemd-run --quiet --unit holder sh -c "exec 9<> /run/loopd/dev/loop5; exec sleep 600"'
    within 5 inside 'ls -l "/proc/$(systemctl show -P MainPID holder)/fd" | grep loop5'
    LIMIT=60 inside 'systemctl stop loopd.service'
    has_journal 'still open: .*loop5 by .*sleep'
    # Who has a device open gets an error, and does not wait for anybody.
    inside 'if timeout 10 head -c 1 "/proc/$(systemctl show -P MainPID holder)/fd/9" > /dev/null 2> /run/error; then exit 1; fi; cat /run/error; grep -q "not connected" /run/error'
    inside 'systemctl reset-failed loopd.service; systemctl start loopd.service; [ "$(grep -c " /run/loopd/dev " /proc/self/mountinfo)" = 1 ]
        [ -z "$(loopctl -ln)" ]; loopctl 5 /srv/a; dd if=/run/loopd/dev/loop5 of=/dev/null count=1 status=none; systemctl stop holder'
}

test_two_thousand_devices_outlive_the_daemon() {
    mkdir -p "$machine_root/etc/loopd"
    local number
    for number in {0..1999}; do
        echo "$number" | dd of="$machine_directory/data/$number" bs=4096 conv=sync status=none
        echo "loop$number /srv/$number"
    done > "$machine_root/etc/loopd/looptab"
    enable loopd.service
    boot
    LIMIT=120 inside 'loopctl apply > /run/applied 2>&1 || { tail -n 5 /run/applied; exit 1; }; [ "$(loopctl -lnO NAME | wc -l)" = 2000 ]'
    [ "$(property NFileDescriptorStore)" -ge 2000 ]
    local before
    before=$(restarts)
    inside 'kill -9 "$(systemctl show -P MainPID loopd.service)"'
    within 60 is_restarted "$before"
    LIMIT=60 inside 'systemctl restart loopd.service'
    if has_journal 'is lost|would not outlive'; then return 1; fi
    LIMIT=60 inside '[ "$(loopctl -lnO NAME | wc -l)" = 2000 ]; for number in 0 1 999 1998 1999; do [ "$(head -n 1 "/run/loopd/dev/loop$number")" = "$number" ] || exit 1; done'
    # What is cleared is kept no longer.
    LIMIT=60 inside 'seq 10 1999 | xargs -n 200 loopctl -d'
    within 20 inside '[ "$(systemctl show -P NFileDescriptorStore loopd.service)" -lt 20 ]'
    LIMIT=60 inside 'systemctl stop loopd.service'
    [ "$(property Result)" = success ]
}

test_journal_has_priorities_and_fields() {
    enable loopd.service
    boot
    inside 'printf x > "/srv/a
b"; truncate -s 1M "/srv/a
b" /srv/c; loopctl 4 "/srv/a
b"; loopctl 2 /srv/c; loopctl -d 2'
    within 5 inside 'journalctl -b -o json -u loopd.service LOOPD_DEVICE=loop2 LOOPD_BACKING_FILE=/srv/c | grep cleared'
    inside 'journalctl -b -o json -u loopd.service LOOPD_DEVICE=loop2 | tail -n 1' > "$work/entry"
    cat "$work/entry"
    grep -q '"PRIORITY":"6"' "$work/entry"
    grep -q '"SYSLOG_IDENTIFIER":"loopd"' "$work/entry"
    grep -q '"_SYSTEMD_UNIT":"loopd.service"' "$work/entry"
    grep -q '"_TRANSPORT":"journal"' "$work/entry"
    grep -q '"LOOPD_WRITES":"0"' "$work/entry"
    # A warning is one: here, of a device that is open at the end.
    inside 'systemd-run --quiet --unit holder sh -c "exec 9< /run/loopd/dev/loop4; exec sleep 600"; sleep 0.5; systemctl stop --no-block loopd.service'
    within 10 inside 'journalctl -b -o cat -p warning -u loopd.service | grep "still open"'
    inside 'systemctl stop holder'
}

test_user_manager_restarts_a_users_daemon() {
    systemctl --root="$machine_root" --quiet --global enable loopd.socket
    mkdir -p "$machine_root/var/lib/systemd/linger"
    touch "$machine_root/var/lib/systemd/linger/somebody"
    boot
    within 20 inside_as_user 'systemctl --user is-system-running | grep -Eqx "running|degraded"'
    inside_as_user 'truncate -s 8M ~/image; loopctl -f --show ~/image'
    [ "$(inside_as_user 'systemctl --user show -P ActiveState loopd.service')" = active ]
    inside_as_user 'grep -q " /run/user/1000/loopd/dev .* fuse.loopd " /proc/self/mountinfo'
    inside_as_user 'systemd-run --user --quiet --unit holder sh -c "exec 9<> /run/user/1000/loopd/dev/loop0; sleep 4; head -c 4M /dev/zero | tr \"\\\\0\" x >&9; sync; touch ~/written"; sleep 0.5
        kill -9 "$(systemctl --user show -P MainPID loopd.service)"'
    within 10 inside_as_user '[ "$(systemctl --user show -P NRestarts loopd.service)" -ge 1 ] && systemctl --user is-active -q loopd.service'
    within 20 inside '[ -e /home/somebody/written ]'
    inside_as_user '[ "$(head -c 4M ~/image | tr -d x | wc -c)" = 0 ]; systemctl --user restart loopd.service; loopctl -l | grep image'
    inside_as_user 'systemctl --user stop loopd.service'
    if inside 'grep fuse.loopd /proc/self/mountinfo'; then return 1; fi
}
