#!/usr/bin/env bash
# The benchmark: loopd against the kernel's loop device, qemu-storage-daemon and nbdfuse, in memory and on a disk. Writes a
# document, charts and the raw data into tests/bench/results/. Works in temporary folders of its own alone, and installs
# nothing. Says at its start how long it will take; Ctrl-C ends it and takes everything down.
#
# usage: tests/bench/run.sh [--quick] [OPTION...]     (tests/bench/run.sh --help lists them)
set -euo pipefail
cd "$(dirname "$0")/../.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
export PATH=$PATH:/usr/sbin:/sbin

die() {
    echo "run.sh: $*" >&2
    exit 1
}

have() {
    command -v "$1" > /dev/null
}

have dotnet || die "needs the .NET 10 SDK (dotnet on the PATH)"
case " $* " in
    *" --help "* | *" --render-only "*) ;;
    *)
        [ "$(id -u)" = 0 ] || die "needs root, for kernel loop devices and mounts"
        missing=()
        for tool in fio:fio losetup:mount setsid:util-linux mkfs.ext4:e2fsprogs e2fsck:e2fsprogs tar:tar; do
            have "${tool%:*}" || missing+=("${tool#*:}")
        done
        [ ${#missing[@]} = 0 ] || die "needs more programs: apt-get install ${missing[*]}"
        for tool in qemu-storage-daemon:qemu-system-common nbdfuse:libnbd-bin nbdkit:nbdkit; do
            have "${tool%:*}" || echo "run.sh: ${tool%:*} will be skipped: apt-get install ${tool#*:}" >&2
        done
        ;;
esac

dotnet build -c Release -v quiet tests/bench/LoopDaemon.Benchmark
exec artifacts/bin/LoopDaemon.Benchmark/release/LoopDaemon.Benchmark "$@"
