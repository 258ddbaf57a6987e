# shellcheck shell=bash
# The variables are those of run.sh; what is in single quotes is for the guest.
# shellcheck disable=SC2016,SC2154
# A virtual machine with Debian's own kernel, of which the power can be cut. It is emulated, so that it runs on machines that are
# virtual themselves, and everything in it takes 30 to 60 times as long.

readonly vm_kernel=linux-image-cloud-amd64
# In the order in which they are loaded; what each needs comes before it.
readonly vm_modules=(virtio_pci virtio_blk virtio_console ext4)

vm_directory='' vm_process=''

# Puts the kernel and what it first loads into $cache, under the kernel's version.
provide_kernel() {
    local package version making module file number=0
    # A machine may have every package that is needed, and no lists of any others.
    apt-cache show "$vm_kernel" > /dev/null 2>&1 || apt-get update -qq
    package=$(apt-cache depends "$vm_kernel" | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
    version=${package#linux-image-}
    [ -n "$version" ] || { say "no package $vm_kernel to be had"; return 1; }
    vm_boot=$cache/$package-$(declare -f provide_kernel | sha256sum | cut -c 1-8)
    [ ! -d "$vm_boot" ] || return 0
    say "fetching $package"
    making=$(mktemp -d "$work/kernel-XXXXXX")
    (cd "$making" && apt-get download -qq "$package" 2> /dev/null && dpkg-deb -x ./*.deb . && rm ./*.deb)
    depmod -b "$making" "$version"
    mkdir -p "$making/initrd"/{bin,dev,proc,root,modules}
    cp "$(command -v busybox)" "$making/initrd/bin/busybox"
    while read -r file; do
        # By number, as their order counts.
        number=$((number + 1))
        cp "$file" "$making/initrd/modules/$(printf %03d "$number")-${file##*/}"
    done < <(for module in "${vm_modules[@]}"; do modprobe -d "$making" -S "$version" --show-depends "$module"; done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }')
    cat > "$making/initrd/init" << 'END'
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t proc proc /proc
for module in /modules/*; do /bin/busybox insmod "$module"; done
until [ -b /dev/vda ]; do /bin/busybox sleep 0.1; done
/bin/busybox mount -t ext4 /dev/vda /root
/bin/busybox umount /proc
/bin/busybox mount --move /dev /root/dev
exec /bin/busybox switch_root /root /sbin/init
END
    chmod 0755 "$making/initrd/init"
    (cd "$making/initrd" && find . | cpio --quiet -o -H newc | gzip) > "$making/initrd.gz"
    rm -r "$making/initrd"
    ln -s "boot/vmlinuz-$version" "$making/vmlinuz"
    mv "$making" "$vm_boot"
}

# The root disk: the image, what the build installs, the kernel's modules, and an agent that does what it is told.
make_root_disk() {
    local layer=$work/vm-layer
    mkdir -p "$layer/upper" "$layer/overlay" "$layer/root"
    mount -t overlay overlay -o "lowerdir=$tree:$image,upperdir=$layer/upper,workdir=$layer/overlay" "$layer/root"
    cp -a "$vm_boot/lib/modules" "$layer/root/usr/lib/"
    install -m 0755 "$here/writer" "$here/acknowledging-writer" "$here/limited-writer" "$layer/root/usr/local/bin/"
    cat > "$layer/root/usr/local/bin/agent" << 'END'
#!/bin/bash
# Each line of the console is a number, a time limit and a script; the answer is the number, the exit code and the output.
exec 3<> /dev/hvc0
stty -F /dev/hvc0 raw -echo
echo "ready" >&3
while read -r number limit script <&3; do
    output=$(timeout -k 5 "$limit" bash -c "$(base64 -d <<< "$script")" 3>&- 2>&1 < /dev/null)
    status=$?
    echo "$number $status $(printf %s "$output" | base64 -w 0)" >&3
done
END
    chmod 0755 "$layer/root/usr/local/bin/agent"
    cat > "$layer/root/etc/systemd/system/agent.service" << 'END'
[Unit]
After=multi-user.target
[Service]
Environment=PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
ExecStart=/usr/local/bin/agent
KillMode=process
[Install]
WantedBy=graphical.target
END
    mkdir -p "$layer/root/etc/systemd/system/graphical.target.wants"
    ln -sf ../agent.service "$layer/root/etc/systemd/system/graphical.target.wants/agent.service"
    ln -sf /lib/systemd/system/graphical.target "$layer/root/etc/systemd/system/default.target"
    systemctl --root="$layer/root" --quiet enable loopd.service
    truncate -s 2G "$work/root.raw"
    mkfs.ext4 -q -d "$layer/root" "$work/root.raw"
    umount "$layer/root"
    qemu-img convert -q -O qcow2 "$work/root.raw" "$work/root.qcow2"
    rm -rf "$layer" "$work/root.raw"
    truncate -s 1G "$work/data.raw"
    mkfs.ext4 -q "$work/data.raw"
    qemu-img convert -q -O qcow2 "$work/data.raw" "$work/data.qcow2"
    rm "$work/data.raw"
}

# A machine that has never booted.
new_vm() {
    patience=10
    provide_kernel
    [ -e "$work/root.qcow2" ] || make_root_disk
    vm_directory=$(mktemp -d "$work/vm-XXXXXX")
    qemu-img create -q -f qcow2 -F qcow2 -b "$work/root.qcow2" "$vm_directory/root.qcow2"
    qemu-img create -q -f qcow2 -F qcow2 -b "$work/data.qcow2" "$vm_directory/data.qcow2"
    mkfifo "$vm_directory/agent.in" "$vm_directory/agent.out"
}

# Starts it, and waits for its agent.
boot() {
    local answer='' begin=$SECONDS
    qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 1536 -M q35 -display none -nodefaults -no-reboot \
        -kernel "$vm_boot/vmlinuz" -initrd "$vm_boot/initrd.gz" \
        -append "console=ttyS0 rw tsc=reliable mitigations=off no_timer_check nokaslr systemd.show_status=no" \
        -serial "file:$vm_directory/console" \
        -drive "file=$vm_directory/root.qcow2,if=virtio" -drive "file=$vm_directory/data.qcow2,if=virtio" \
        -device virtio-serial -chardev "pipe,id=agent,path=$vm_directory/agent" -device virtconsole,chardev=agent \
        -chardev "file,id=acknowledged,path=$vm_directory/acknowledged,append=on" -device virtconsole,chardev=acknowledged \
        < /dev/null > "$vm_directory/qemu.log" 2>&1 &
    vm_process=$!
    exec {vm_in}<> "$vm_directory/agent.in" {vm_out}<> "$vm_directory/agent.out"
    vm_calls=0
    until read -r -t 1 -u "$vm_out" answer && [ "$answer" = ready ]; do
        if ! kill -0 "$vm_process" 2> /dev/null || [ $((SECONDS - begin)) -gt 240 ]; then
            echo "the virtual machine's agent does not answer ${answer:+, but $answer}"
            return 1
        fi
    done
    # The agent does not wait for the daemon, which has no part in the order of the targets.
    within 30 inside 'systemctl is-system-running --wait | grep -Eqx "running|degraded"'
    echo "booted: $(inside 'uname -r; cut -d " " -f 1 /proc/uptime' | tr '\n' ' ')"
}

# As in a container, and ten times as patient.
inside() { # SCRIPT [ARGUMENT...]
    local script=$1 limit=$((${LIMIT:-30} * patience)) command number status output
    shift
    command="set -- $(printf '%q ' "$@")"$'\n'"set -eu; $script"
    vm_calls=$((vm_calls + 1))
    echo "$vm_calls $limit $(base64 -w 0 <<< "$command")" >&"$vm_in"
    # An answer that was given up earlier may still come.
    while read -r -t $((limit + 30)) -u "$vm_out" number status output; do
        [ "$number" = "$vm_calls" ] || continue
        [ -z "$output" ] || { base64 -d <<< "$output" && echo; }
        return "$status"
    done
    echo "no answer within $limit seconds: $script"
    return 1
}

cut_power() {
    kill -9 "$vm_process"
    wait "$vm_process" 2> /dev/null || true
    vm_process=''
    exec {vm_in}>&- {vm_out}>&-
}

shut_down() {
    # A moment later, for the answer to come through.
    inside '(sleep 3; systemctl --no-block poweroff) > /dev/null 2>&1 &'
    local begin=$SECONDS
    while kill -0 "$vm_process" 2> /dev/null; do
        if [ $((SECONDS - begin)) -gt 240 ]; then
            echo "the virtual machine did not end"
            return 1
        fi
        sleep 0.2
    done
    wait "$vm_process" 2> /dev/null || true
    vm_process=''
    exec {vm_in}>&- {vm_out}>&-
}

end_vm() {
    if [ -n "$vm_process" ]; then
        kill -9 "$vm_process" 2> /dev/null || true
        wait "$vm_process" 2> /dev/null || true
        vm_process=''
    fi
    if [ -n "$vm_directory" ]; then
        rm -rf "$vm_directory"
        vm_directory=''
    fi
    ! mountpoint -q "$work/vm-layer/root" || umount "$work/vm-layer/root"
}

report_vm() {
    echo "--- the console:"
    tail -n 20 "$vm_directory/console" "$vm_directory/qemu.log" || true
    if [ -n "$vm_process" ]; then
        echo "--- the journal:"
        inside 'systemctl --no-pager --plain --failed; journalctl -b --no-pager -o short-monotonic -u "loopd*" | tail -n 60' || true
    fi
}
