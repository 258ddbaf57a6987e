# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154
# A container with a systemd of its own as its first process: booted, spoken to, and taken down with all that it leaves in the
# kernel, which is the host's.

machine_root='' machine_nspawn='' machine_init='' machine_cgroups=()

# Prepares a machine that has never booted: the image, what the build installs, and a writable layer above both.
new_machine() {
    end_machine
    machine_directory=$(mktemp -d "$work/machine-XXXXXX")
    mkdir "$machine_directory"/{upper,overlay,root,data}
    mount -t overlay overlay -o "lowerdir=$tree:$image,upperdir=$machine_directory/upper,workdir=$machine_directory/overlay" "$machine_directory/root"
    machine_root=$machine_directory/root
    install -D -m 0755 "$here/writer" "$machine_root/usr/local/bin/writer"
}

# Boots it, and waits until all units are started.
boot() {
    local name=loopd-test-$$ group begin=$SECONDS
    machine_cgroups=()
    if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
        machine_cgroups=("/sys/fs/cgroup/$name")
    else
        for group in systemd unified; do
            [ ! -d "/sys/fs/cgroup/$group" ] || machine_cgroups+=("/sys/fs/cgroup/$group/$name")
        done
    fi
    mkdir -p "${machine_cgroups[@]}"
    (
        for group in "${machine_cgroups[@]}"; do
            echo "$BASHPID" > "$group/cgroup.procs"
        done
        SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 exec systemd-nspawn --quiet --boot -D "$machine_root" --register=no --keep-unit \
            "--machine=$name" --capability=all --private-network --bind=/dev/fuse --bind=/dev/loop-control \
            "--bind=$machine_directory/data:/srv" --console=pipe
    ) < /dev/null >> "$machine_directory/console" 2>&1 &
    machine_nspawn=$!
    until machine_init=$(init_of "$machine_nspawn"); do
        if ! kill -0 "$machine_nspawn" 2> /dev/null || [ $((SECONDS - begin)) -gt 30 ]; then
            echo "the container did not start:"
            tail -n 20 "$machine_directory/console"
            return 1
        fi
        sleep 0.05
    done
    # The manager's socket is there a moment later; "degraded" is for each test to judge.
    within 60 inside 'systemctl is-system-running --wait | grep -Eqx "running|degraded"'
}

# The process that is 1 inside.
init_of() { # NSPAWN
    local status
    for status in /proc/[0-9]*/status; do
        if awk -v parent="$1" '/^PPid:/ { child = $2 == parent } /^NSpid:/ { exit !(child && NF > 2 && $NF == 1) }' "$status" 2> /dev/null; then
            status=${status#/proc/}
            echo "${status%/status}"
            return 0
        fi
    done
    return 1
}

# Runs a script in the machine, as root; 30 seconds at most, or as many as LIMIT says.
inside() { # SCRIPT [ARGUMENT...]
    local script=$1
    shift
    timeout -k 5 $((${LIMIT:-30} + 5)) nsenter -t "$machine_init" -m -u -i -p -n -C -- env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
        timeout -k 2 "${LIMIT:-30}" bash -c "set -eu; $script" bash "$@" < /dev/null
}

# The same as the user "somebody", in reach of his manager.
inside_as_user() { # SCRIPT
    inside 'exec runuser -u somebody -- env XDG_RUNTIME_DIR=/run/user/1000 DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus bash -c "set -eu; $1"' "$1"
}

# Ends it as systemctl reboot does, or poweroff; what is in its root stays, and boot goes on with it.
leave() { # reboot|poweroff
    inside "systemctl --no-block $1" || true
    local begin=$SECONDS
    while kill -0 "$machine_nspawn" 2> /dev/null; do
        if [ $((SECONDS - begin)) -gt 120 ]; then
            echo "the machine did not end within 120 seconds"
            return 1
        fi
        sleep 0.1
    done
    wait "$machine_nspawn" || true
    forget_machine
}

forget_machine() {
    local group try
    for group in "${machine_cgroups[@]}"; do
        # A manager makes cgroups of its own, and what was in them takes a moment to end.
        for try in {1..50}; do
            find "$group" -depth -type d -exec rmdir {} \; 2> /dev/null || true
            [ -d "$group" ] || break
            [ "$try" != 50 ] || echo "note: $group is left"
            sleep 0.1
        done
    done
    machine_nspawn='' machine_init='' machine_cgroups=()
}

# The kernel loop devices on a mount. The path that the kernel has for their files is the same in every machine; to ask for the
# mount takes a call that may wait, so only those are asked about that may be meant.
kernel_loops_on() { # MAJOR:MINOR
    local file loop
    for file in /sys/block/loop*/loop/backing_file; do
        if grep -qs /loopd/dev "$file"; then
            loop=${file#/sys/block/}
            loop=/dev/${loop%%/*}
            [ -e "$loop" ] || mknod "$loop" b 7 "${loop#/dev/loop}"
            [ "$(timeout 5 losetup -nO BACK-MAJ:MIN "$loop" 2> /dev/null | tr -d ' ')" != "$1" ] || echo "$loop"
        fi
    done
}

# Takes it down, however it is: kernel loop devices first, as they are the host's and hold on to its mounts.
end_machine() {
    local number connection loop
    if [ -n "$machine_init" ] && [ -e "/proc/$machine_init/mountinfo" ]; then
        # On which numbers its daemons' mounts are: by these its kernel loop devices are told from others.
        while read -r number; do
            for loop in $(kernel_loops_on "$number"); do
                while read -r directory; do
                    timeout 10 nsenter -t "$machine_init" -m umount -l "$directory" < /dev/null || true
                done < <(awk -v loop="/dev/${loop##*/}" '$0 ~ " - [^ ]+ " loop "( |$)" { print $5 }' "/proc/$machine_init/mountinfo")
                timeout 10 losetup -d "$loop" || true
            done
            # Nobody must wait for a daemon that is gone.
            connection=/sys/fs/fuse/connections/${number#*:}/abort
            [ ! -w "$connection" ] || echo 1 > "$connection"
        done < <(awk '/ - fuse.loopd / { print $3 }' "/proc/$machine_init/mountinfo")
    fi
    if [ -n "$machine_nspawn" ]; then
        # The first process outlives nspawn.
        kill -9 ${machine_init:+"$machine_init"} 2> /dev/null || true
        kill -9 "$machine_nspawn" 2> /dev/null || true
        wait "$machine_nspawn" 2> /dev/null || true
        forget_machine
    fi
    if [ -n "$machine_root" ]; then
        umount "$machine_root" || umount -l "$machine_root"
        rm -rf "$machine_directory"
        machine_root=''
    fi
}

# What there is to know about a failure.
report_machine() {
    echo "--- the console:"
    tail -n 15 "$machine_directory/console" || true
    if [ -n "$machine_init" ]; then
        echo "--- the journal:"
        LIMIT=10 inside 'systemctl --no-pager --plain --failed; journalctl -b --no-pager -o short-monotonic -u "loopd*" | tail -n 60' || true
    fi
}
