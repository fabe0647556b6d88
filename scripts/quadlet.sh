#!/bin/bash
# Prints the path of podman's unit generator. Where this machine's podman has none (before 4.4), unpacks a newer one.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tandem/quadlet-trixie
for generator in /usr/libexec/podman/quadlet "$cache/usr/libexec/podman/quadlet"; do
    [ -x "$generator" ] && echo "$generator" && exit
done
say "unpacking podman's unit generator from Debian 13 (about a minute)"
rm -rf "$cache.partial"
mkdir -p "${cache%/*}"
mmdebstrap --quiet --mode="$([ "$(id -u)" -eq 0 ] && echo root || echo fakeroot)" --variant=extract --components=main \
    --include=podman --aptopt='APT::Install-Recommends "false"' trixie "$cache.partial" >&2
mkdir -p "$cache/usr/libexec/podman"
mv "$cache.partial/usr/libexec/podman/quadlet" "$cache/usr/libexec/podman/"
rm -rf "$cache.partial"
echo "$cache/usr/libexec/podman/quadlet"
