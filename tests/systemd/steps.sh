# shellcheck shell=bash
# What the tests are made of, in a container as in a virtual machine: each has an "inside". The scripts in single quotes are the
# inner shell's, and the variables are those of run.sh.
# shellcheck disable=SC2016,SC2154

# Repeats a command until it succeeds.
within() { # SECONDS COMMAND...
    local limit=$(($1 * patience)) begin=$SECONDS
    shift
    until "$@" > /dev/null 2>&1; do
        if [ $((SECONDS - begin)) -ge "$limit" ]; then
            echo "not within $limit seconds: $*"
            return 1
        fi
        sleep 0.1
    done
}

property() { # NAME [UNIT]
    inside 'systemctl show -P "$1" "$2"' "$1" "${2:-loopd.service}"
}

# An ext4 behind XOR in /srv/disk.img, and the line that mounts it.
make_disk() {
    inside '
        mkdir -p /etc/loopd /mnt/disk
        head -c 4096 /dev/urandom > /etc/loopd/disk.key
        truncate -s 192M /srv/disk.img
        device=$(loopctl -f --show -e xor --key-file /etc/loopd/disk.key /srv/disk.img)
        mkfs.ext4 -q -E nodiscard "$device"
        loopctl -d "$device"'
}

readonly disk_options=transfer=xor,keyfile=/etc/loopd/disk.key,fstype=ext4

mount_disk() {
    LIMIT=60 inside 'mount -t loopd -o "$1" /srv/disk.img /mnt/disk' "$disk_options"
    # The manager learns of a mount a moment later; what it does not know it does not unmount ahead of the daemon.
    within 10 inside '[ "$(systemctl show -P ActiveState mnt-disk.mount)" = active ]'
}

start_writers() {
    local number
    inside 'rm -rf /run/writers; mkdir /run/writers'
    for number in 1 2; do
        inside 'mkdir -p "/mnt/disk/$1"; systemd-run --quiet --collect --unit "writer$1" -p StandardOutput=file:/run/writers/log$1 -p StandardError=file:/run/writers/log$1 \
            sh -c "writer /mnt/disk/$1 /run/writers/stop /run/writers/sums$1 && touch /run/writers/ok$1"' "$number"
    done
    within 20 inside '[ -e /run/writers/sums1 ] && [ -e /run/writers/sums2 ]'
}

# Neither writer may have met an error; then everything is compared again, as it comes from the disk.
check_writers() {
    inside 'touch /run/writers/stop'
    within 60 inside '! systemctl is-active -q writer1 && ! systemctl is-active -q writer2' || true
    if ! inside '[ -e /run/writers/ok1 ] && [ -e /run/writers/ok2 ]'; then
        inside 'cat /run/writers/log*'
        return 1
    fi
    echo "note: the writers did $(inside 'cat /run/writers/log*' | tr '\n' ' ')"
    LIMIT=90 inside 'umount /mnt/disk'
    within 30 inside '[ -z "$(loopctl -ln)" ]'
    check_disk
    mount_disk
    LIMIT=60 inside 'for number in 1 2; do
        for sums in /run/writers/sums$number/*; do
            [ "$(sha256sum < "/mnt/disk/$number/${sums##*/}")" = "$(cat "$sums")" ] || { echo "$number/${sums##*/} differs"; exit 1; }
        done
    done'
    LIMIT=60 inside 'umount /mnt/disk'
}

# Nothing is wrong with the file system, nor anything left in its journal.
check_disk() {
    LIMIT=60 inside '
        device=$(loopctl -f --show -r -e xor --key-file /etc/loopd/disk.key /srv/disk.img)
        dumpe2fs -h "$device" 2> /dev/null > /run/superblock
        if grep needs_recovery /run/superblock; then exit 1; fi
        grep -q "^Filesystem state: *clean" /run/superblock
        e2fsck -fn "$device" > /run/e2fsck 2>&1 || { cat /run/e2fsck; exit 1; }
        loopctl -d "$device"'
}

restarts() { property NRestarts "$@"; }

is_restarted() { # BEFORE [UNIT]
    [ "$(restarts "${2:-loopd.service}")" -gt "$1" ] && [ "$(property ActiveState "${2:-loopd.service}")" = active ]
}

has_journal() { # PATTERN
    inside 'journalctl -b --no-pager -o cat -u loopd.service | grep -E -- "$1"' "$1"
}
