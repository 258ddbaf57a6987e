#!/usr/bin/env bash
# Runs the daemon under a systemd of its own: as first process of a container, and of a virtual machine with Debian's kernel.
# As root; installs what it needs. Prints a line "passed: NAME" or "FAILED: NAME" for each test and ends with "N passed, N failed".
#
# usage: tests/systemd/run.sh [--container] [--vm] [--tree DIR] [TEST...]     (default: --container, all tests)
#
#   --tree DIR   what src/packaging/build.sh has installed there, instead of a build of this repository
#   TEST         names of tests, as they are printed
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
repository=$(cd "$here/../.." && pwd)
export PATH=$PATH:/usr/sbin:/sbin LC_ALL=C

say() { echo "run.sh: $*" >&2; }

fail() {
    say "$1"
    exit 1
}

container='' vm='' tree='' wanted=()
while [ $# -gt 0 ]; do
    case $1 in
        --container) container=1 && shift ;;
        --vm) vm=1 && shift ;;
        --tree)
            [ $# -ge 2 ] || fail "--tree needs a directory"
            tree=$(cd "$2" && pwd)
            shift 2
            ;;
        -h | --help)
            sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"
            exit 0
            ;;
        -*) fail "unknown option $1; try --help" ;;
        *) wanted+=("$1") && shift ;;
    esac
done
[ -n "$container$vm" ] || container=1
[ "$(id -u)" = 0 ] || fail "needs root"
[ -e /dev/fuse ] || fail "needs /dev/fuse"
[ -e /dev/loop-control ] || fail "needs /dev/loop-control"

install_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null | grep -qx installed || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
}

install_packages debootstrap systemd-container util-linux ${vm:+qemu-system-x86 qemu-utils busybox-static cpio kmod e2fsprogs}
chmod 0666 /dev/fuse

# Outside of the repository, as it is large and outlives a clean one.
cache=${LOOPD_TEST_CACHE:-/var/cache/loopdaemon-tests}
mkdir -p "$cache"
work=$(mktemp -d "$cache/run-XXXXXX")

# shellcheck source=tests/systemd/image.sh
. "$here/image.sh"
# shellcheck source=tests/systemd/steps.sh
. "$here/steps.sh"

finish() {
    # What could not be unmounted is not to be deleted.
    rm -rf --one-file-system "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

if [ -z "$tree" ]; then
    say "building"
    timeout 1200 "$repository/src/packaging/build.sh" "$work/tree" > "$work/build.log" 2>&1 || {
        tail -n 30 "$work/build.log" >&2
        fail "the build failed"
    }
    tree=$work/tree
fi
# shellcheck disable=SC2034 # A machine's root is made of it.
image=$(provide_image)

passed=0 failed=0
# How much longer than usual everything may take.
# shellcheck disable=SC2034
patience=1

# Each test is a function test_NAME, run in a shell that ends with its first failing command.
run_tests() { # FILE BEFORE AFTER REPORT
    local name status begin before=$2 after=$3 report=$4
    # shellcheck source=/dev/null
    . "$1"
    while read -r name; do
        [ ${#wanted[@]} = 0 ] || [[ " ${wanted[*]} " == *" $name "* ]] || continue
        begin=$EPOCHREALTIME status=0
        # In this shell, for what it starts is this one's to end; and not as part of a condition, which would switch -e off.
        set +e
        (
            trap - INT TERM
            trap 'status=$?; trap - EXIT; [ $status = 0 ] || "$report"; "$after" || status=1; exit $status' EXIT
            set -eE
            "$before"
            "test_$name"
        ) < /dev/null > "$work/output" 2>&1
        status=$?
        set -e
        if [ $status = 0 ]; then
            grep '^note: ' "$work/output" || true
            echo "passed: $name ($(seconds_since "$begin") s)"
            passed=$((passed + 1))
        else
            sed 's/^/    /' "$work/output"
            echo "FAILED: $name ($(seconds_since "$begin") s)"
            failed=$((failed + 1))
        fi
    done < <(sed -n 's/^test_\([a-z0-9_]*\)() {.*/\1/p' "$1")
}

seconds_since() { # EPOCHREALTIME
    awk -v begin="$1" -v end="$EPOCHREALTIME" 'BEGIN { printf "%.1f", end - begin }'
}

if [ -n "$container" ]; then
    # shellcheck source=tests/systemd/machine.sh
    . "$here/machine.sh"
    run_tests "$here/container.sh" new_machine end_machine report_machine
fi
if [ -n "$vm" ]; then
    # shellcheck source=tests/systemd/vm.sh
    . "$here/vm.sh"
    run_tests "$here/vm-tests.sh" new_vm end_vm report_vm
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
