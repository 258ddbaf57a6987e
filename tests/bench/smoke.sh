#!/usr/bin/env bash
# A first look at throughput: fio on the kernel's loop device (direct I/O on) and on ours through XOR, side by side in one
# run on copies of one image in memory. Prints medians and ratios; passes no judgement.
#
# usage: tests/bench/smoke.sh [ROUNDS] [SECONDS]     (default: 3 rounds of 3 s a job)
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-3}
seconds=${2:-3}
bin=$PWD/artifacts/bin
size=512M

[ "$(id -u)" = 0 ] || { echo "smoke.sh: needs root for a kernel loop device" >&2; exit 1; }
command -v fio >/dev/null || { echo "smoke.sh: needs fio" >&2; exit 1; }
[ -x "$bin/loopctl/release/loopctl" ] || dotnet build -c Release LoopDaemon.sln

dir=$(mktemp -d /tmp/loopd-bench.XXXXXX)
kernel=""
daemon=""
cleanup() {
    [ -z "$kernel" ] || losetup -d "$kernel"
    if [ -n "$daemon" ]; then
        kill -TERM "$daemon"
        wait "$daemon" || true
    fi
    umount "$dir/memory"
    rm -rf "$dir"
}
mkdir "$dir/memory"
mount -t tmpfs -o size=1200M none "$dir/memory"
trap cleanup EXIT

head -c 32 /dev/urandom > "$dir/key"
head -c $size /dev/urandom > "$dir/memory/kernel.img"
cp "$dir/memory/kernel.img" "$dir/memory/ours.img"
kernel=$(losetup -f --show --direct-io=on "$dir/memory/kernel.img")
"$bin/loopd/release/loopd" --mount "$dir/dev" --control "$dir/control" --log-level warning &
daemon=$!
for _ in $(seq 100); do [ -S "$dir/control" ] && break; sleep 0.1; done
ours=$("$bin/loopctl/release/loopctl" --control "$dir/control" -f --show -e xor --key-file "$dir/key" "$dir/memory/ours.img")

jobs=(
    "sequential read 1 MiB qd8|--rw=read --bs=1M --iodepth=8"
    "sequential write 1 MiB qd8|--rw=write --bs=1M --iodepth=8"
    "random read 4 KiB qd1|--rw=randread --bs=4k --iodepth=1"
    "random read 4 KiB qd32 x 4|--rw=randread --bs=4k --iodepth=32 --numjobs=4"
    "random write 4 KiB qd32 x 4|--rw=randwrite --bs=4k --iodepth=32 --numjobs=4"
)

# Fields 7 and 48 of fio's terse format (version 3) are KiB/s read and written, 8 and 49 the IOPS.
measure() { # FILE OPTIONS -> KiB/s IOPS
    # shellcheck disable=SC2086 # the options are several words
    timeout $((seconds + 60)) fio --name=smoke --filename="$1" --direct=1 --ioengine=io_uring --size=$size --runtime="$seconds" \
        --time_based --group_reporting --output-format=terse --terse-version=3 $2 | awk -F';' '{ print $7 + $48, $8 + $49 }'
}

for round in $(seq "$rounds"); do
    for i in "${!jobs[@]}"; do
        for which in kernel ours; do
            file=$kernel
            [ $which = kernel ] || file=$ours
            echo "$i $which $(measure "$file" "${jobs[$i]#*|}")" >> "$dir/results"
        done
    done
    echo "round $round of $rounds done" >&2
done

median() { # JOB WHICH COLUMN
    awk -v job="$1" -v which="$2" -v column="$3" '$1 == job && $2 == which { print $column }' "$dir/results" \
        | sort -n | awk '{ value[NR] = $1 } END { print NR % 2 ? value[(NR + 1) / 2] : (value[NR / 2] + value[NR / 2 + 1]) / 2 }'
}

printf '\n%-28s %14s %10s %14s %10s %6s\n' "O_DIRECT, tmpfs, median" "kernel MiB/s" "IOPS" "XOR MiB/s" "IOPS" "ratio"
for i in "${!jobs[@]}"; do
    printf '%s|%s|%s|%s|%s\n' "${jobs[$i]%%|*}" "$(median "$i" kernel 3)" "$(median "$i" kernel 4)" "$(median "$i" ours 3)" "$(median "$i" ours 4)"
done | awk -F'|' '{ printf "%-28s %14.0f %10.0f %14.0f %10.0f %6.2f\n", $1, $2 / 1024, $3, $4 / 1024, $5, $4 / $2 }'
