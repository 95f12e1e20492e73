#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Build what the series touches after each of its patches, with W=1: each has
# to build, and none may bring a warning that is not in the base.
#
# usage: scripts/each-patch.sh TREE
#
# TREE is what "make kernel-tree" makes: the tag "base", then one commit for
# each patch. It stays as it is; the builds are in a work tree of its own.

set -euo pipefail
unset MAKEFLAGS MFLAGS MAKELEVEL

tree=$1
jobs=${JOBS:-$(nproc)}
kernel_sh=$(dirname "$0")/kernel.sh
objects=(net/vmw_vsock/ drivers/vhost/ net/core/flow_dissector.o net/core/sock.o
	net/sched/sch_generic.o)

say() { echo "vsfq: $*" >&2; }
die() { say "$*"; exit 1; }

tmp=$(mktemp -d)
work=$tmp/linux
trap 'git -C "$tree" worktree remove --force "$work"; rm -rf "$tmp"' EXIT

# The transports that the test bed has no use for are compiled all the same.
configure() {
	"$kernel_sh" config "$work"
	"$work/scripts/config" --file "$work/.config" -e VMWARE_VMCI \
		-e VMWARE_VMCI_VSOCKETS -e HYPERV -e HYPERV_VSOCKETS
	make -s -C "$work" olddefconfig
	grep -q CONFIG_VMWARE_VMCI_VSOCKETS=y "$work/.config" &&
		grep -q CONFIG_HYPERV_VSOCKETS=y "$work/.config" ||
		die "the other transports of vsock cannot be configured"
}

# Writes the warnings, without line numbers, which any patch moves.
build() {		# COMMIT WARNINGS
	git -C "$work" checkout -q --detach "$1"
	{ make -C "$work" -j"$jobs" W=1 "${objects[@]}" &&
	  make -C "$work/tools/testing/vsock" -j"$jobs" test; } \
		>"$tmp/log" 2>&1 || {
		tail -20 "$tmp/log" >&2
		die "does not build: $(git -C "$work" log -1 --format=%s)"
	}
	grep warning: "$tmp/log" | sed -E 's/:[0-9]+(:[0-9]+)?:/:/' |
		sort -u >"$2" || true
}

git -C "$tree" worktree add -q --detach "$work" base
configure
say "building the base"
build base "$tmp/base"
for commit in $(git -C "$tree" rev-list --reverse base..HEAD); do
	say "building $(git -C "$tree" log -1 --format=%s "$commit")"
	build "$commit" "$tmp/now"
	comm -13 "$tmp/base" "$tmp/now" >"$tmp/new"
	[ ! -s "$tmp/new" ] || { cat "$tmp/new" >&2; die "new warnings"; }
done
