# shellcheck shell=bash
# shellcheck disable=SC2154
# The root file system that the tests boot: Debian with systemd, made once and kept under a hash of this file.

# Beside systemd: what the programs need, what the tests judge with, and for a user of his own.
readonly image_packages=systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,udev,kmod,e2fsprogs,mount,util-linux,fuse3,procps,iproute2,libstdc++6,zlib1g
readonly image_suite=${LOOPD_TEST_SUITE:-bookworm}
readonly image_mirror=${LOOPD_TEST_MIRROR:-http://deb.debian.org/debian}

# Prints the image's directory, which is never written to again.
provide_image() {
    local hash image making
    hash=$(sha256sum "${BASH_SOURCE[0]}" | cut -c 1-16)
    image=$cache/root-$image_suite-$hash
    if [ ! -d "$image" ]; then
        say "making the root file system $image"
        making=$(mktemp -d "$work/image-XXXXXX")
        if ! timeout 900 debootstrap --variant=minbase --include="$image_packages" "$image_suite" "$making" "$image_mirror" > "$cache/debootstrap.log" 2>&1; then
            tail -n 20 "$cache/debootstrap.log" >&2
            return 1
        fi
        furnish_image "$making"
        chmod 0755 "$making"
        mv "$making" "$image"
    fi
    echo "$image"
}

furnish_image() { # ROOT
    local root=$1 unit
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    : > "$root/etc/machine-id"
    : > "$root/etc/fstab"
    echo loopd-test > "$root/etc/hostname"
    # No network, no clock, nobody to log in.
    for unit in systemd-networkd.service systemd-networkd.socket systemd-networkd-wait-online.service systemd-timesyncd.service \
        systemd-resolved.service apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
        dpkg-db-backup.timer console-getty.service getty@.service serial-getty@.service; do
        ln -sf /dev/null "$root/etc/systemd/system/$unit"
    done
    # All of a run's journal is looked at.
    mkdir -p "$root/etc/systemd/journald.conf.d"
    printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n' > "$root/etc/systemd/journald.conf.d/tests.conf"
    # Without udev nobody makes a kernel loop device's node.
    cat > "$root/etc/systemd/system/loop-nodes.service" << 'END'
[Unit]
DefaultDependencies=no
Before=local-fs-pre.target loopd.service
ConditionVirtualization=container
[Service]
Type=oneshot
ExecStart=sh -c 'for number in $(seq 0 63); do [ -e /dev/loop$number ] || mknod -m 0660 /dev/loop$number b 7 $number; done'
[Install]
WantedBy=sysinit.target
END
    mkdir -p "$root/etc/systemd/system/sysinit.target.wants"
    ln -sf ../loop-nodes.service "$root/etc/systemd/system/sysinit.target.wants/loop-nodes.service"
    chroot "$root" useradd -m -s /bin/bash -u 1000 somebody
}
