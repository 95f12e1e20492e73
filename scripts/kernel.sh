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
	local t
	for t in "$@"; do
		command -v "$t" >/dev/null || die "\"$t\" is missing: run make deps"
	done
}

need_space() {		# GIB
	local kib
	kib=$(df --output=avail -k "$cache" | tail -1)
	[ "$kib" -ge $(($1 << 20)) ] ||
		die "$cache has $((kib >> 20)) GiB free, $1 are needed"
}

# What the user chose instead of the pinned base, as far as it decides the
# result.
origin() {
	if [ -n "${LINUX_SRC:-}" ]; then
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

check_sum() {		# FILE SHA256
	local have
	[ -r "$1" ] || die "cannot read \"$1\""
	have=$(sha256sum "$1" | cut -d' ' -f1)
	[ "$have" = "$2" ] || die "sha256 of \"$1\" is $have, expected $2"
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

# Names the version of the source package to take: the pinned one or, when
# Debian has moved on, the newest of the same line.
debian_version() {
	local offered
	offered=$(private_apt apt-cache madison "$PACKAGE" 2>/dev/null |
		awk '$1 == "'"$PACKAGE"'" { print $3 }')
	[ -n "$offered" ] || die "$SUITE offers no package \"$PACKAGE\""
	if grep -qxF "$PACKAGE_VERSION" <<<"$offered"; then
		echo "$PACKAGE_VERSION"
	else
		sort -V <<<"$offered" | tail -1
	fi
}

fetch_debian() {	# TARBALL
	local version deb
	need_tools apt-get dpkg-deb
	[ -r "$keyring" ] || die "\"$keyring\" is missing: install debian-archive-keyring"
	say "reading the package lists of $SUITE"
	private_apt apt-get update -o APT::Update::Error-Mode=any \
		>"$cache/apt.log" 2>&1 ||
		die "cannot read $SUITE of deb.debian.org (no network?), see" \
		    "$cache/apt.log; or give LINUX_TARBALL= or LINUX_SRC="
	version=$(debian_version)
	say "downloading $PACKAGE $version (150 MB)"
	(cd "$tmp" && private_apt apt-get download "$PACKAGE=$version") \
		>>"$cache/apt.log" 2>&1 ||
		die "cannot download $PACKAGE $version, see $cache/apt.log"
	deb=$(echo "$tmp/$PACKAGE"_*.deb)
	if [ "$version" = "$PACKAGE_VERSION" ]; then
		check_sum "$deb" "$DEB_SHA256"
	else
		say "$PACKAGE_VERSION is no longer offered: taking $version," \
		    "checked by the archive's signature alone"
	fi
	dpkg-deb --fsys-tarfile "$deb" | tar -xO "./$TARBALL" >"$tmp/tarball"
	rm "$deb"
	[ "$version" != "$PACKAGE_VERSION" ] ||
		check_sum "$tmp/tarball" "$TARBALL_SHA256"
	mv "$tmp/tarball" "$1"
}

fetch_kernel_org() {	# TARBALL
	need_tools curl
	say "downloading $KERNEL_ORG_URL (150 MB)"
	curl -fsSL -o "$tmp/tarball" "$KERNEL_ORG_URL" ||
		die "cannot download $KERNEL_ORG_URL"
	check_sum "$tmp/tarball" "$LINUX_SHA256"
	mv "$tmp/tarball" "$1"
}

# Sets $tarball to a verified tarball of the base.
get_tarball() {
	if [ -n "${LINUX_TARBALL:-}" ]; then
		tarball=$LINUX_TARBALL
		check_sum "$tarball" "${LINUX_SHA256:-$TARBALL_SHA256}"
	elif [ -n "${LINUX_SHA256:-}" ]; then
		tarball=$cache/$LINUX_SHA256.tar.xz
		[ -e "$tarball" ] || fetch_kernel_org "$tarball"
	else
		tarball=$cache/${PACKAGE}_$PACKAGE_VERSION.tar.xz
		[ -e "$tarball" ] || fetch_debian "$tarball"
	fi
}

unpack() {
	mkdir "$tmp/linux"
	if [ -n "${LINUX_SRC:-}" ]; then
		[ -e "$LINUX_SRC/Kconfig" ] ||
			die "\"$LINUX_SRC\" is not a kernel source tree"
		say "copying $LINUX_SRC"
		tar -C "$LINUX_SRC" --exclude=./.git -c . | tar -C "$tmp/linux" -x
	else
		get_tarball
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
			die "patch \"${p##*/}\" does not apply to Linux" \
			    "$(git -C "$tmp/linux" log -1 --format=%s base |
			       cut -d' ' -f2), see $cache/am.log"
	done
}

cmd_tree() {
	[ ! -d "$dir" ] || return 0
	need_tools git make tar xz sha256sum
	lock
	[ ! -d "$dir" ] || return 0
	need_space 9
	tmp=$(mktemp -d "$cache/tmp.XXXXXX")
	unpack
	say "committing the base (about 20 s), applying ${#patches[@]} patches"
	git_base
	apply_series
	mv "$tmp" "$dir"
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
	say "building the kernel: 1,400 files, 8 to 15 minutes on 2 cores" \
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
	local tree=${1:-$dir/linux} base=${2:-base}
	[ -d "$tree" ] || die "there is no kernel tree yet: run make kernel-tree"
	git -C "$tree" diff --quiet HEAD ||
		die "\"$tree\" has changes that are not committed"
	rm -f "${patches[@]}"
	GIT_CONFIG_GLOBAL=/dev/null git -C "$tree" format-patch -q -N \
		--zero-commit --no-signature --full-index --no-renames \
		-o "$cfg" "$base"..HEAD
	patches=("$cfg"/*.patch)
	say "wrote ${#patches[@]} patches to $cfg"
	# The tree now is what the new key stands for: keep its objects.
	[ "$tree" != "$dir/linux" ] || keep_tree
}

keep_tree() {
	local new=$cache/$line${variant:+-$variant}-$(key)
	lock
	[ "$new" != "$dir" ] && [ ! -e "$new" ] || return 0
	rm -f "$dir/bzImage" "$dir/vmlinux"
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
