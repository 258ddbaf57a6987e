#!/usr/bin/env bash
# Builds everything and runs every test for real. As root it first installs the Debian packages that the tests use and
# this machine lacks; what cannot run here (no root, no /dev/fuse, no such file system) is skipped by name.
# Ends with a line "N passed, N failed, N skipped".
#
# usage: tests/run.sh [--all] [PROJECT...]     (default: all projects in tests/)
#
#   --all    also the long torture, 100 kills for each configuration, and the suite in a virtual machine
set -euo pipefail
cd "$(dirname "$0")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
export PATH=$PATH:/usr/sbin:/sbin

all=''
if [ "${1-}" = --all ]; then
    all=1
    export LOOPD_TEST_KILLS=${LOOPD_TEST_KILLS:-100}
    shift
fi

packages=(fuse3 fio e2fsprogs xfsprogs btrfs-progs squashfs-tools xorriso genisoimage strace attr gcc libc6-dev zlib1g-dev shellcheck
    fdisk gdisk parted dosfstools exfatprogs ntfs-3g openssl aespipe bsdutils mandoc zsh fish)
# A kernel built without it cannot judge our reading of partition tables; another, run as a program, can.
if zgrep -qs '^# CONFIG_EFI_PARTITION is not set' /proc/config.gz; then
    packages+=(user-mode-linux kmod)
fi

install_packages() {
    command -v dpkg-query > /dev/null || return 0
    local missing=() package
    for package in "${packages[@]}"; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null | grep -qx installed || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        echo "run.sh: not root, so these packages stay missing and their tests are skipped: ${missing[*]}" >&2
        return 0
    fi
    echo "run.sh: installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
}

command -v dotnet > /dev/null || { echo "run.sh: needs the .NET 10 SDK (dotnet on the PATH)" >&2; exit 1; }
install_packages
if [ "$(id -u)" = 0 ] && [ -e /dev/fuse ]; then
    # As udev has it on Debian; containers and small virtual machines run without udev.
    chmod 0666 /dev/fuse
fi

dotnet build -c Release LoopDaemon.sln

passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

count() { # NAME COMMAND... : one check that passes or fails
    local name=$1
    shift
    if "$@"; then
        echo "passed: $name"
        passed=$((passed + 1))
    else
        echo "FAILED: $name"
        failed=$((failed + 1))
    fi
}

run_project() {
    local program=artifacts/bin/$1/release/$1 status=0 summary
    echo "== $1"
    timeout "${all:+1}1500" "$program" -noColor < /dev/null 2>&1 | tee "$log" || status=$?
    summary=$(grep -E 'Total: [0-9]+, Errors: [0-9]+, Failed: [0-9]+, Skipped: [0-9]+' "$log" | tail -n 1 || true)
    if [[ $summary =~ Total:\ ([0-9]+),\ Errors:\ ([0-9]+),\ Failed:\ ([0-9]+),\ Skipped:\ ([0-9]+) ]]; then
        local bad=$((BASH_REMATCH[2] + BASH_REMATCH[3]))
        # A run that ends badly with nothing marked failed is a failure all the same.
        [ "$bad" -gt 0 ] || [ "$status" = 0 ] || bad=1
        failed=$((failed + bad))
        skipped=$((skipped + BASH_REMATCH[4]))
        passed=$((passed + BASH_REMATCH[1] - BASH_REMATCH[2] - BASH_REMATCH[3] - BASH_REMATCH[4]))
    else
        echo "FAILED: $1 ended without a summary (exit code $status)"
        failed=$((failed + 1))
    fi
}

if [ $# -gt 0 ]; then
    projects=("$@")
else
    projects=()
    for folder in tests/*.Tests; do
        projects+=("${folder#tests/}")
    done
    count "dotnet format" dotnet format LoopDaemon.sln --verify-no-changes --no-restore
    if command -v shellcheck > /dev/null; then
        count "shellcheck" shellcheck .ci/run src/packaging/build.sh tests/run.sh tests/bench/run.sh tests/bench/startup.sh
        count "shellcheck of the suite under systemd" shellcheck -x -P SCRIPTDIR tests/systemd/{run,container,machine,image,steps,vm,vm-tests}.sh \
            tests/systemd/{writer,acknowledging-writer}
    fi
fi
for project in "${projects[@]}"; do
    run_project "$project"
done

if [ $# = 0 ] && [ "$(id -u)" = 0 ] && [ -e /dev/fuse ] && [ -e /dev/loop-control ]; then
    echo "== under a real systemd"
    tests/systemd/run.sh --container ${all:+--vm} < /dev/null 2>&1 | tee "$log" || true
    if [[ $(tail -n 1 "$log") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
        passed=$((passed + BASH_REMATCH[1]))
        failed=$((failed + BASH_REMATCH[2]))
    else
        echo "FAILED: the suite under a real systemd did not run"
        failed=$((failed + 1))
    fi
fi

if [ $# = 0 ] && [ "$(id -u)" = 0 ] && [ -e /dev/fuse ] && [ -e /dev/loop-control ] && command -v fio > /dev/null; then
    echo "== throughput, for the eye only"
    timeout 300 tests/bench/run.sh --rounds 1 --seconds 1 --places memory --parts throughput --configurations xor-threads \
        --jobs 'seq*,rand*' --results artifacts/bench || echo "the benchmark did not run"
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
