#!/usr/bin/env bash
# Builds what a package installs: loopd with its runtime, compiled ahead of time (ReadyToRun), loopctl as a native program,
# units for systemd, manual pages and shell completions.
#
# usage: src/packaging/build.sh [--prefix DIR] [--arch x64|arm64] DESTDIR      (prefix: /usr, architecture: this machine's)
#
#   PREFIX/lib/loopd/               both programs and what they load; loopctl finds loopd here, beside itself
#   PREFIX/bin/loopctl, PREFIX/sbin/loopd       links to them
#   PREFIX/sbin/mount.loopd, PREFIX/sbin/umount.loopd       links to loopctl, for mount(8)
#   PREFIX/lib/systemd/{system,user}/           units: loopd.service, loopd.socket, loopd-looptab.service
#   PREFIX/share/...                man5, man8, bash-completion, zsh, fish
#
# Needs the .NET 10 SDK, clang or gcc, and zlib's headers (Debian: gcc, libc6-dev, zlib1g-dev). For another architecture the
# compiler must be able to link for it (clang, with that architecture's libraries).
set -euo pipefail
repository=$(cd "$(dirname "$0")/../.." && pwd)
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1

fail() {
    echo "build.sh: $1" >&2
    exit 1
}

prefix=/usr destdir='' arch=''
while [ $# -gt 0 ]; do
    case $1 in
        --prefix | --arch)
            [ $# -ge 2 ] || fail "$1 needs a value"
            if [ "$1" = --prefix ]; then prefix=$2; else arch=$2; fi
            shift 2
            ;;
        --prefix=*) prefix=${1#*=} && shift ;;
        --arch=*) arch=${1#*=} && shift ;;
        -h | --help)
            sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"
            exit 0
            ;;
        -*) fail "unknown option $1; try --help" ;;
        *)
            [ -z "$destdir" ] || fail "one DESTDIR, not also $1"
            destdir=$1
            shift
            ;;
    esac
done
[ -n "$destdir" ] || fail "name a DESTDIR to install into; try --help"
case $(uname -m) in
    x86_64) machine=x64 ;;
    aarch64) machine=arm64 ;;
    *) machine='' ;;
esac
arch=${arch:-$machine}
case $arch in
    x64 | arm64) ;;
    *) fail "the architecture must be x64 or arm64, not \"$arch\"" ;;
esac

missing=()
command -v dotnet > /dev/null || missing+=("the .NET 10 SDK (dotnet on the PATH)")
if command -v clang > /dev/null; then
    compiler=clang
else
    compiler=gcc
    command -v gcc > /dev/null || missing+=("a C compiler to link with (Debian: gcc libc6-dev, or clang)")
fi
if command -v "$compiler" > /dev/null && ! "$compiler" -E -include zlib.h -x c /dev/null > /dev/null 2>&1; then
    missing+=("zlib's headers (Debian: zlib1g-dev)")
fi
if [ ${#missing[@]} -gt 0 ]; then
    printf 'build.sh: missing: %s\n' "${missing[@]}" >&2
    exit 1
fi
[ "$arch" = "$machine" ] || [ "$compiler" = clang ] || fail "to link for $arch on this machine install clang"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

publish() { # PROGRAM OPTION... : publishes into $work/PROGRAM
    local program=$1
    shift
    dotnet publish "$repository/src/$program" -c Release -r "linux-$arch" -o "$work/$program" --nologo -v quiet "$@"
    # What serves development: symbols and documentation.
    find "$work/$program" -maxdepth 1 \( -name '*.pdb' -o -name '*.xml' -o -name '*.dbg' \) -delete
}

publish loopd
publish loopctl "-p:CppCompilerAndLinker=$compiler"

root=$destdir$prefix
install -d "$root/lib/loopd" "$root/bin" "$root/sbin" "$root/share/man/man5" "$root/share/man/man8"
for program in loopd loopctl; do
    install -m 0644 "$work/$program"/* "$root/lib/loopd"
done
chmod 0755 "$root/lib/loopd/loopd" "$root/lib/loopd/loopctl"
# What the runtime writes a core dump with, where DOTNET_DbgEnableMiniDump asks for one.
if [ -e "$root/lib/loopd/createdump" ]; then
    chmod 0755 "$root/lib/loopd/createdump"
fi
ln -sf ../lib/loopd/loopctl "$root/bin/loopctl"
ln -sf ../lib/loopd/loopd "$root/sbin/loopd"
for helper in mount.loopd umount.loopd; do
    ln -sf ../lib/loopd/loopctl "$root/sbin/$helper"
done

for unit in "$repository"/src/packaging/systemd/{*,user/*}.{service,socket}; do
    case $unit in
        */user/*) units=$root/lib/systemd/user ;;
        *) units=$root/lib/systemd/system ;;
    esac
    install -d "$units"
    sed "s|/usr/|$prefix/|g" "$unit" > "$units/$(basename "$unit")"
    chmod 0644 "$units/$(basename "$unit")"
done

for page in "$repository"/src/packaging/man/*.[58]; do
    gzip -9nc "$page" > "$root/share/man/man${page##*.}/$(basename "$page").gz"
done
ln -sf mount.loopd.8.gz "$root/share/man/man8/umount.loopd.8.gz"
completions=$repository/src/packaging/completions
install -D -m 0644 "$completions/loopctl.bash" "$root/share/bash-completion/completions/loopctl"
install -D -m 0644 "$completions/_loopctl" "$root/share/zsh/vendor-completions/_loopctl"
install -D -m 0644 "$completions/loopctl.fish" "$root/share/fish/vendor_completions.d/loopctl.fish"
echo "installed below $root"
