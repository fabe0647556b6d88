#!/bin/bash
# Install what is missing of the operating system's packages that the lab needs, with the argument "test" also what only the
# tests need. Says so first.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
PATH=$PATH:/usr/sbin:/sbin:/usr/lib/podman:/usr/libexec/podman

# program  Debian package  Fedora package
needed="podman podman podman
netavark netavark netavark
conmon conmon conmon
crun crun crun
nft nftables nftables
iptables iptables iptables-nft
mmdebstrap mmdebstrap mmdebstrap
rsync rsync rsync
ssh openssh-client openssh-clients
git git git
make make make
unshare util-linux util-linux
ip iproute2 iproute"
# crun refuses the hybrid layout of control groups.
[ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ] || needed+=$'\nrunc runc runc'

# The virtual machines of the RDMA tests, and what unit tests measure this machine with.
[ "${1:-}" != test ] || needed+=$'\nqemu-system-x86_64 qemu-system-x86 qemu-system-x86-core\nmke2fs e2fsprogs e2fsprogs
iperf3 iperf3 iperf3\nping iputils-ping iputils'
# quadlet.sh unpacks packages as an ordinary user with it.
[ "$(id -u)" -eq 0 ] || needed+=$'\nfakeroot fakeroot fakeroot'
[ -e /etc/ssl/certs/ca-certificates.crt ] || [ -e /etc/pki/tls/certs/ca-bundle.crt ] ||
    needed+=$'\nca-certificates. ca-certificates ca-certificates'

if command -v apt-get >/dev/null; then
    column=2 refresh="apt-get update -qq"
    install="env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends"
elif command -v dnf >/dev/null; then
    column=3 refresh=true install="dnf install -q -y --setopt=install_weak_deps=False"
    # Fedora knows Debian's signing keys by a package of their own.
    [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || needed+=$'\ndebian-keyring - debian-keyring'
else
    die "this machine has neither apt-get nor dnf; install podman, netavark, mmdebstrap and rsync by hand"
fi

missing=()
while read -r program packages; do
    command -v "$program" >/dev/null || missing+=("$(echo "$program $packages" | cut -d' ' -f"$column")")
done <<<"$needed"
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
        die "missing packages: ${missing[*]}. Installing them needs root, and there is no sudo: install them as root"
    as_root=sudo
fi
say "installing missing packages: ${missing[*]}"
$as_root $refresh
$as_root $install "${missing[@]}" >/dev/null || die "the packages could not be installed: ${missing[*]}"
