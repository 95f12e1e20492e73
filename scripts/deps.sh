#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Install the Debian packages that building and testing need; nothing else on
# the machine changes, and nothing at all when they are there already.

set -euo pipefail

packages=(
	# the kernel, libbpf, bpftool
	bc bison ca-certificates curl debian-archive-keyring flex gcc git kmod libc6-dev libcap-dev
	libelf-dev libssl-dev lz4 make pahole perl python3 xz-utils zlib1g-dev
	# the BPF programs, the loader, the load tool, the manual pages
	clang-19 libclang-rt-19-dev libcmocka-dev libconfuse-dev libexpat1-dev
	libjansson-dev libmnl-dev libncurses-dev llvm-19 scdoc
	# the test bed, and the kernel's own vsock tests
	busybox-static cpio ethtool gnuplot-nox iproute2 liburing-dev qemu-system-x86
	# the Debian package; what reads the units, the rule, the completions
	dpkg-dev lintian man-db systemd udev zsh
)

missing=()
for p in "${packages[@]}"; do
	dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null | grep -q '^ii' ||
		missing+=("$p")
done

if [ ${#missing[@]} -eq 0 ]; then
	exit 0
fi

if [ "$(id -u)" -ne 0 ]; then
	echo "vsfq: these packages are missing, install them as root:" >&2
	echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
	exit 1
fi

echo "vsfq: installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
install=(apt-get -q -y install --no-install-recommends "${missing[@]}")
# The machine's package lists may be missing or old: read them only when needed.
"${install[@]}" --dry-run >/dev/null 2>&1 || apt-get -q update
"${install[@]}" || { apt-get -q update && "${install[@]}"; }
