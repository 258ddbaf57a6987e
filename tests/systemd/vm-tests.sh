# shellcheck shell=bash
# What needs a kernel or a power supply of its own. The scripts in single quotes are the guest's; the variables are those of run.sh.
# shellcheck disable=SC2016,SC2154

test_twenty_kills_on_debians_kernel() {
    boot
    inside 'mount /dev/vdb /srv'
    make_disk
    mount_disk
    start_writers
    local before
    for _ in {1..20}; do
        before=$(restarts)
        sleep "$((RANDOM % 3)).$((RANDOM % 10))"
        inside 'kill -9 "$(systemctl show -P MainPID loopd.service)"'
        within 30 is_restarted "$before"
    done
    [ "$(restarts)" -ge 20 ]
    check_writers
    if inside 'dmesg | grep -E "I/O error|EXT4-fs error"'; then return 1; fi
}

test_writer_in_a_memory_limit_does_not_notice_kills() {
    boot
    # With all that a container may lack: nothing of what keeps the daemon going when memory is short was refused.
    inside '[ "$(cat "/proc/$(systemctl show -P MainPID loopd.service)/oom_score_adj")" = -900 ]
        awk "/^VmLck:/ { locked = \$2 } END { exit !(locked >= 4096) }" "/proc/$(systemctl show -P MainPID loopd.service)/status"'
    if has_journal 'CAP_SYS_RESOURCE|cannot be locked'; then return 1; fi
    inside 'mount /dev/vdb /srv'
    make_disk
    mount_disk
    # The writer has to wait, again and again, until the daemon has written its pages.
    inside 'systemd-run --quiet --unit limited -p MemoryMax=96M -p MemorySwapMax=0 -p StandardError=file:/run/limited.log limited-writer /mnt/disk/limited /run/limited'
    local before kills=0
    while inside 'systemctl is-active -q limited'; do
        before=$(restarts)
        sleep "$((RANDOM % 4)).$((RANDOM % 10))"
        inside 'kill -9 "$(systemctl show -P MainPID loopd.service)"'
        within 30 is_restarted "$before"
        kills=$((kills + 1))
        if [ "$kills" -gt 100 ]; then
            echo "the writer does not get on: round $(inside 'cat /run/limited.round')"
            return 1
        fi
    done
    echo "note: $kills kills while 1 GiB was written"
    inside 'cat /run/limited.log; [ "$(cat /run/limited.max)" = 100663296 ]'
    [ "$kills" -ge 5 ]
    # The limit was met, and nobody was killed for it.
    inside 'cat /run/limited.events; grep -Eq "^max [1-9]" /run/limited.events; grep -qx "oom_kill 0" /run/limited.events'
    LIMIT=60 inside 'umount /mnt/disk'
    within 30 inside '[ -z "$(loopctl -ln)" ]'
    check_disk
    mount_disk
    LIMIT=60 inside 'yes "round 8" | head -c 128M | cmp - /mnt/disk/limited; umount /mnt/disk'
    if inside 'dmesg | grep -E "I/O error|EXT4-fs error|blocked for more than"'; then return 1; fi
}

test_power_cut_loses_nothing_acknowledged() {
    boot
    inside 'mount /dev/vdb /srv'
    make_disk
    inside 'cp -a /etc/loopd /srv/keys; umount /srv'
    shut_down
    # Only what goes to a fresh layer and is not flushed is lost with the power.
    mv "$vm_directory/data.qcow2" "$vm_directory/data-before.qcow2"
    qemu-img create -q -f qcow2 -F qcow2 -b "$vm_directory/data-before.qcow2" "$vm_directory/data.qcow2"
    boot
    inside 'mount /dev/vdb /srv'
    mount_disk
    inside 'systemd-run --quiet --unit acknowledging acknowledging-writer /mnt/disk/files /dev/hvc1
        systemd-run --quiet --unit noise sh -c "while :; do head -c 1M /dev/urandom > /mnt/disk/noise; done"'
    within 20 enough_acknowledged 30
    # The daemon dies and comes back meanwhile, which must not make a difference.
    inside 'kill -9 "$(systemctl show -P MainPID loopd.service)"'
    within 20 enough_acknowledged 60
    cut_power
    echo "note: power cut after $(wc -l < "$vm_directory/acknowledged") acknowledged files"
    boot
    inside 'mount /dev/vdb /srv'
    # The first mount replays the journal; after it there is nothing to mend.
    mount_disk
    LIMIT=60 inside 'umount /mnt/disk'
    within 30 inside '[ -z "$(loopctl -ln)" ]'
    check_disk
    mount_disk
    local acknowledged
    acknowledged=$(tr -dc '0-9a-f\n' < "$vm_directory/acknowledged" | grep -E '^[0-9a-f]{64}$')
    LIMIT=60 inside 'for name in $1; do
        [ "$(sha256sum < "/mnt/disk/files/$name")" = "$name  -" ] || { echo "$name is lost"; exit 1; }
    done' "$acknowledged"
    LIMIT=60 inside 'umount /mnt/disk'
}

enough_acknowledged() { [ "$(wc -l < "$vm_directory/acknowledged")" -ge "$1" ]; }
