#!/usr/bin/env bash
# How soon the programs of a package are there: prints minimum and median in milliseconds, and passes no judgement.
#   loopd, first stat     from exec until a stat(2) of MOUNT/loop0 answers
#   loopd, control socket from exec until a connection is taken
#   loopctl --version, loopctl --list (a daemon runs), loopctl -f (starts the daemon; only where none runs)
#
# usage: tests/bench/startup.sh [RUNS] [TREE]     (default: 21 runs; the tree that src/packaging/build.sh makes)
set -euo pipefail
cd "$(dirname "$0")/../.."
runs=${1:-21}
tree=${2:-}

[ "$(id -u)" = 0 ] || { echo "startup.sh: needs root" >&2; exit 1; }
dir=$(mktemp -d /tmp/loopd-startup.XXXXXX)
daemon=""
cleanup() {
    [ -z "$daemon" ] || end
    rm -rf "$dir"
}
trap cleanup EXIT
if [ -z "$tree" ]; then
    tree=$dir/tree
    src/packaging/build.sh "$tree" > /dev/null
fi
loopd=$tree/usr/sbin/loopd
loopctl=$tree/usr/bin/loopctl

start() {
    "$loopd" --mount "$dir/dev" --control "$dir/control" --log-level warning &
    daemon=$!
}

end() {
    kill -TERM "$daemon"
    wait "$daemon" || true
    daemon=""
}

# Half a millisecond's sleep without a process: nothing ever comes out of this pipe.
exec {never}<> <(:)
nap() { read -rt 0.0005 -u "$never" || true; }

since() { echo $((${EPOCHREALTIME/./} - $1)); } # START (microseconds)

report() { # NAME: minimum and median of the microseconds in its file
    sort -n "$dir/$1" | awk -v name="$1" '{ t[NR] = $1 / 1000 } END { printf "%-24s %6.1f %6.1f\n", name, t[1], t[int((NR + 1) / 2)] }'
}

for _ in $(seq "$runs"); do
    began=${EPOCHREALTIME/./}
    start
    until [ -e "$dir/dev/loop0" ]; do nap; done
    since "$began" >> "$dir/loopd, first stat"
    until [ -S "$dir/control" ]; do nap; done
    since "$began" >> "$dir/loopd, control socket"
    end
done

start
until [ -S "$dir/control" ]; do nap; done
for _ in $(seq "$runs"); do
    began=${EPOCHREALTIME/./}
    "$loopctl" --version > /dev/null
    since "$began" >> "$dir/loopctl --version"
    began=${EPOCHREALTIME/./}
    "$loopctl" --control "$dir/control" --list > /dev/null
    since "$began" >> "$dir/loopctl --list"
done
end

if [ ! -e /run/loopd/control ]; then
    truncate -s 1M "$dir/disk.img"
    for _ in $(seq "$runs"); do
        began=${EPOCHREALTIME/./}
        "$loopctl" -f "$dir/disk.img"
        since "$began" >> "$dir/loopctl -f"
        "$loopctl" -D
        while [ -e /run/loopd/control.lock ]; do sleep 0.05; done
    done
fi

printf '%-24s %6s %6s\n' "milliseconds, $runs runs" min median
for name in "loopd, first stat" "loopd, control socket" "loopctl --version" "loopctl --list" "loopctl -f"; do
    [ ! -e "$dir/$name" ] || report "$name"
done
