#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Fetch, patch and build the kernel of one line: kernel-patches/LINE holds its
# base, its configuration and its series.
#
# usage: scripts/kernel.sh tree|build|tools|dir|image
#        scripts/kernel.sh series [TREE BASE]	from this tree
#        scripts/kernel.sh config TREE		configure this tree
#
# VARIANT=debug or kcsan adds config.debug or config.kcsan to the configuration.
# VARIANT=uml stands for config.uml alone, for a kernel that is a program.
#
# Everything lands in $VSFQ_CACHE/LINE-KEY (LINE-VARIANT-KEY), where KEY is the
# hash of all that decides the result. A directory gets that name only when it
# is complete, so whatever an interrupted run leaves behind is never taken for
# the result.
#
#   LINE-KEY/linux      the source, a git tree: tag "base", then the series
#   LINE-KEY/bzImage    the kernel, once built (built inside linux/: its
#   LINE-KEY/vmlinux    objects stay valid when the directory is renamed);
#                       both are the program for VARIANT=uml
#   LINE-KEY/modules    what that kernel has as modules, if it has any
#   LINE-KEY/tools/     libbpf.a, usr/include/bpf, bpftool, and vsock_test and
#                       its like, built from the patched tree

set -euo pipefail
unset MAKEFLAGS MFLAGS MAKELEVEL

top=$(cd "$(dirname "$0")/.." && pwd)
line=${LINE:-7.3}
cfg=$top/kernel-patches/$line
cache=${VSFQ_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vsfq}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

say() { echo "vsfq: $*" >&2; }
die() { say "$*"; exit 1; }

[ -r "$cfg/base" ] || die "no kernel line \"$line\": $cfg/base does not exist"
. "$cfg/base"

variant=${VARIANT:-}
configs=("$cfg/config" ${variant:+"$cfg/config.$variant"})
[ -r "${configs[-1]}" ] ||
	die "no variant \"$variant\": ${configs[-1]} does not exist"
kmake=(make)
image=arch/x86/boot/bzImage
if [ "$variant" = uml ]; then
	configs=("$cfg/config.uml")
	kmake=(make ARCH=um)
	image=vmlinux
fi

shopt -s nullglob
patches=("$cfg"/*.patch)

need_tools() {
	local t missing=
	for t in "$@"; do
		command -v "$t" >/dev/null || missing+=" \"$t\""
	done
	[ -z "$missing" ] || die "missing:$missing; run make deps"
}

need_space() {		# GIB
	local kib
	kib=$(df --output=avail -k "$cache" | tail -1)
	[ "$kib" -ge $(($1 << 20)) ] ||
		die "$cache has $((kib >> 20)) GiB free, $1 are needed"
}

# What the user chose instead of the pinned base, as far as it decides the
# result. Of a git tree that is its HEAD; of another one only where it is.
origin() {
	if [ -e "${LINUX_SRC:-}/.git" ]; then
		git -C "$LINUX_SRC" rev-parse HEAD
	elif [ -n "${LINUX_SRC:-}" ]; then
		realpath "$LINUX_SRC"
	elif [ -n "${LINUX_SHA256:-}" ]; then
		echo "$LINUX_SHA256"
	fi
}

key() {
	{ cat "$cfg/base" "${configs[@]}" "${patches[@]}"; origin; } |
		sha256sum | cut -c1-16
}

lock() {
	mkdir -p "$cache"
	exec 9>"$cache/lock"
	flock -n 9 || { say "waiting for another build in $cache"; flock 9; }
	rm -rf "$cache"/tmp.*
	trap 'rm -rf "$cache"/tmp.*' EXIT
}

check_sum() {		# FILE SHA256 [HINT]
	local have
	[ -r "$1" ] || die "cannot read \"$1\""
	have=$(sha256sum "$1" | cut -d' ' -f1)
	[ "$have" = "$2" ] || die "sha256 of \"$1\" is $have, expected $2${3:-}"
}

# apt with lists of its own: the machine's sources and lists stay as they are.
private_apt() {		# TOOL ARGS...
	local d=$cache/apt tool=$1
	shift
	mkdir -p "$d/state/lists/partial" "$d/cache/archives/partial"
	echo "deb [signed-by=$keyring] http://deb.debian.org/debian" \
		"$SUITE main" >"$d/sources.list"
	"$tool" -q -o Dir::State="$d/state" -o Dir::State::status=/dev/null \
		-o Dir::Cache="$d/cache" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::Etc::sourcelist="$d/sources.list" \
		-o APT::Sandbox::User="$(id -un)" "$@"
}

other_source="give LINUX_TARBALL= and LINUX_SHA256=, or LINUX_SRC="

# The versions of Debian's package to try: the pinned one or, when Debian has
# moved on, all of the same line, the newest first.
debian_versions() {
	local offered
	need_tools apt-get apt-cache dpkg-deb
	[ -r "$keyring" ] || die "\"$keyring\" is missing: install debian-archive-keyring"
	say "reading the package lists of $SUITE"
	private_apt apt-get update -o APT::Update::Error-Mode=any \
		>"$cache/apt.log" 2>&1 ||
		die "cannot read $SUITE of deb.debian.org (no network?), see" \
		    "$cache/apt.log; or $other_source"
	offered=$(private_apt apt-cache madison "$PACKAGE" 2>>"$cache/apt.log" |
		awk '$1 == "'"$PACKAGE"'" { print $3 }') || true
	[ -n "$offered" ] ||
		die "$SUITE offers no package \"$PACKAGE\" any more; $other_source"
	if grep -qxF "$PACKAGE_VERSION" <<<"$offered"; then
		echo "$PACKAGE_VERSION"
	else
		sort -Vru <<<"$offered"
	fi
}

debian_tarball() {	# VERSION
	echo "$cache/${PACKAGE}_$1.tar.xz"
}

fetch_debian() {	# VERSION
	local deb
	say "downloading $PACKAGE $1 (170 MB)"
	(cd "$tmp" && private_apt apt-get download "$PACKAGE=$1") \
		>>"$cache/apt.log" 2>&1 ||
		die "cannot download $PACKAGE $1, see $cache/apt.log"
	deb=$(echo "$tmp/$PACKAGE"_*.deb)
	if [ "$1" = "$PACKAGE_VERSION" ]; then
		check_sum "$deb" "$DEB_SHA256"
	else
		say "$PACKAGE_VERSION is no longer offered: taking $1," \
		    "checked by the archive's signature alone"
	fi
	dpkg-deb --fsys-tarfile "$deb" | tar -xO "./$TARBALL" >"$tmp/tarball"
	rm "$deb"
	[ "$1" != "$PACKAGE_VERSION" ] ||
		check_sum "$tmp/tarball" "$TARBALL_SHA256"
	mv "$tmp/tarball" "$(debian_tarball "$1")"
}

fetch_kernel_org() {	# TARBALL
	need_tools curl
	say "downloading $KERNEL_ORG_URL (170 MB)"
	curl -fsSL -o "$tmp/tarball" "$KERNEL_ORG_URL" ||
		die "cannot download $KERNEL_ORG_URL"
	check_sum "$tmp/tarball" "$LINUX_SHA256"
	mv "$tmp/tarball" "$1"
}

# The versions to try; only Debian's package may have more than one.
versions() {
	if [ -n "${LINUX_SRC:-}${LINUX_TARBALL:-}${LINUX_SHA256:-}" ] ||
	   [ -e "$(debian_tarball "$PACKAGE_VERSION")" ]; then
		echo "$PACKAGE_VERSION"
	else
		debian_versions
	fi
}

# Sets $tarball to a verified tarball of the base.
get_tarball() {		# VERSION
	if [ -n "${LINUX_TARBALL:-}" ]; then
		tarball=$LINUX_TARBALL
		if [ -n "${LINUX_SHA256:-}" ]; then
			check_sum "$tarball" "$LINUX_SHA256"
		else
			check_sum "$tarball" "$TARBALL_SHA256" \
				", Debian's; for another one give LINUX_SHA256="
		fi
	elif [ -n "${LINUX_SHA256:-}" ]; then
		tarball=$cache/$LINUX_SHA256.tar.xz
		[ -e "$tarball" ] || fetch_kernel_org "$tarball"
	else
		tarball=$(debian_tarball "$1")
		[ -e "$tarball" ] || fetch_debian "$1"
	fi
}

copy_source() {
	[ -e "$LINUX_SRC/Kconfig" ] ||
		die "\"$LINUX_SRC\" is not a kernel source tree"
	if [ -e "$LINUX_SRC/.git" ]; then
		say "copying HEAD of $LINUX_SRC"
		git -C "$LINUX_SRC" archive HEAD | tar -C "$tmp/linux" -x
		return
	fi
	[ ! -e "$LINUX_SRC/.config" ] && [ ! -e "$LINUX_SRC/vmlinux.o" ] ||
		die "\"$LINUX_SRC\" has a configuration or objects: give a" \
		    "clean copy, or a git tree"
	say "copying $LINUX_SRC"
	tar -C "$LINUX_SRC" -c . | tar -C "$tmp/linux" -x
}

unpack() {		# VERSION
	mkdir "$tmp/linux"
	if [ -n "${LINUX_SRC:-}" ]; then
		copy_source
	else
		get_tarball "$1"
		say "unpacking ${tarball##*/} (half a minute)"
		tar -C "$tmp/linux" --strip-components=1 -xJf "$tarball" ||
			die "cannot unpack \"$tarball\""
	fi
}

# Uncompressed objects: a whole kernel is committed in 20 s instead of 70 s.
git_base() {
	local g=(git -C "$tmp/linux" -c core.compression=0 -c gc.auto=0)
	"${g[@]}" init -q -b vsfq
	"${g[@]}" config core.compression 0
	# A detached "git gc" would keep our lock.
	"${g[@]}" config gc.auto 0
	"${g[@]}" config maintenance.auto false
	"${g[@]}" config commit.gpgsign false
	"${g[@]}" config user.name "$(git -C "$top" config user.name || echo vsfq)"
	"${g[@]}" config user.email \
		"$(git -C "$top" config user.email || echo vsfq@localhost)"
	"${g[@]}" add -A -f
	"${g[@]}" commit -q -m "Linux $(make -s -C "$tmp/linux" kernelversion)"
	"${g[@]}" tag base
}

apply_series() {
	local p
	for p in "${patches[@]}"; do
		git -C "$tmp/linux" am -q --keep-cr "$p" >"$cache/am.log" 2>&1 ||
		{
			say "patch \"${p##*/}\" does not apply to" \
			    "$(git -C "$tmp/linux" log -1 --format=%s base)," \
			    "see $cache/am.log"
			return 1
		}
	done
}

cmd_tree() {
	local all version
	[ ! -d "$dir" ] || return 0
	need_tools git make tar xz sha256sum
	lock
	[ ! -d "$dir" ] || return 0
	need_space 9
	all=$(versions)
	for version in $all; do
		tmp=$(mktemp -d "$cache/tmp.XXXXXX")
		unpack "$version"
		say "committing the base (about 20 s), applying ${#patches[@]}" \
		    "patches"
		git_base
		if apply_series; then
			mv "$tmp" "$dir"
			return
		fi
		rm -rf "$tmp"
	done
	exit 1
}

cmd_config() {		# TREE
	local want lost
	[ -e "${1:-}/Kconfig" ] || die "\"${1:-}\" is not a kernel source tree"
	# Where two lines are about the same, the last one counts.
	want=$(grep -hE '^(CONFIG_|# CONFIG_)' "${configs[@]}" |
		awk '{ match($0, /CONFIG_[A-Z0-9_]+/)
		       line[substr($0, RSTART, RLENGTH)] = $0 }
		     END { for (name in line) print line[name] }')
	"${kmake[@]}" -s -C "$1" tinyconfig
	(cd "$1" && scripts/kconfig/merge_config.sh -m .config \
		<(echo "$want") >/dev/null)
	"${kmake[@]}" -s -C "$1" olddefconfig
	lost=$(grep -vxFf "$1/.config" <<<"$want" | tr '\n' ' ' || true)
	[ -z "$lost" ] ||
		die "Linux does not accept these lines of ${configs[*]}: $lost"
}

# One line for each 250 files: a build without a word looks like a hang.
progress() {
	awk '/^  [A-Z]/ && ++n % 250 == 0 {
		printf "  %d files after %d s\n", n, systime() - t0; fflush() }
		BEGIN { t0 = systime() }' >&2
}

# Without symbols: the VMs read them by 9p.
install_modules() {
	grep -qx CONFIG_MODULES=y "$dir/linux/.config" || return 0
	make -s -C "$dir/linux" modules_install DEPMOD=true \
		INSTALL_MOD_PATH="$dir/modules" INSTALL_MOD_STRIP=1 &&
	depmod -b "$dir/modules" "$(make -s -C "$dir/linux" kernelrelease)"
}

cmd_build() {
	[ ! -e "$dir/bzImage" ] || return 0
	need_tools gcc flex bison bc pahole lz4 git make
	! grep -qx CONFIG_MODULES=y "${configs[@]}" || need_tools depmod
	cmd_tree
	lock
	[ ! -e "$dir/bzImage" ] || return 0
	need_space 2
	cmd_config "$dir/linux"
	say "building the kernel: 2,500 files, 8 to 15 minutes on 2 cores" \
	    "${variant:+(twice that for this variant)}; log in $dir/build.log"
	{ "${kmake[@]}" -C "$dir/linux" -j"$(nproc)" && install_modules; } 2>&1 |
		tee "$dir/build.log" | progress ||
		{ tail -20 "$dir/build.log" >&2; die "the kernel does not build"; }
	ln -f "$dir/linux/vmlinux" "$dir/vmlinux"
	ln -f "$dir/linux/$image" "$dir/bzImage"
}

cmd_tools() {
	local t
	[ ! -d "$dir/tools" ] || return 0
	need_tools gcc make
	cmd_tree
	lock
	[ ! -d "$dir/tools" ] || return 0
	say "building libbpf, bpftool and vsock_test (about a minute)"
	t=$(mktemp -d "$cache/tmp.XXXXXX")
	{
		make -C "$dir/linux/tools/lib/bpf" -j"$(nproc)" OUTPUT="$t/" \
			prefix=/usr DESTDIR="$t" "$t/libbpf.a" install_headers &&
		mkdir "$t/obj" &&
		make -C "$dir/linux/tools/bpf/bpftool" -j"$(nproc)" \
			OUTPUT="$t/obj/" BUILD_BPF_SKELS= "$t/obj/bpftool" &&
		cp "$t/obj/bpftool" "$t/bpftool" && rm -r "$t/obj" &&
		make -C "$dir/linux/tools/testing/vsock" install \
			VSOCK_INSTALL_PATH="$t"
	} >"$dir/tools.log" 2>&1 ||
		{ tail -20 "$dir/tools.log" >&2; die "libbpf, bpftool or vsock_test does not build"; }
	mv "$t" "$dir/tools"
}

# Output that depends on the commits alone, not on the user's configuration.
cmd_series() {		# [TREE BASE]
	local tree=${1:-$dir/linux} base=${2:-base} new
	[ -d "$tree" ] || die "there is no kernel tree yet: run make kernel-tree"
	git -C "$tree" diff --quiet HEAD ||
		die "\"$tree\" has changes that are not committed"
	mkdir -p "$cache"
	new=$(mktemp -d "$cache/series.XXXXXX")
	GIT_CONFIG_GLOBAL=/dev/null git -C "$tree" format-patch -q -N \
		--zero-commit --no-signature --full-index --no-renames \
		-o "$new" "$base"..HEAD || { rm -r "$new"; exit 1; }
	rm -f "${patches[@]}"
	mv "$new"/* "$cfg" && rmdir "$new"
	patches=("$cfg"/*.patch)
	say "wrote ${#patches[@]} patches to $cfg"
	# The tree now is what the new key stands for: keep its objects.
	[ "$tree" != "$dir/linux" ] || keep_tree
}

keep_tree() {
	local new=$cache/$line${variant:+-$variant}-$(key)
	lock
	[ "$new" != "$dir" ] && [ ! -e "$new" ] || return 0
	rm -rf "$dir/bzImage" "$dir/vmlinux" "$dir/tools"
	mv "$dir" "$new"
	say "the tree is now $new/linux"
}

dir=$cache/$line${variant:+-$variant}-$(key)

case ${1:-} in
tree|build|tools)
	cmd_"$1"
	;;
series|config)
	"cmd_$@"
	;;
dir)
	echo "$dir"
	;;
image)
	[ -e "$dir/bzImage" ] || die "the kernel is not built: run make kernel"
	echo "$dir/bzImage"
	;;
*)
	die "usage: ${0##*/} tree|build|tools|series [TREE BASE]|config TREE|dir|image"
	;;
esac
