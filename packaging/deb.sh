#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# packaging/deb.sh: build/vsfq_VERSION_ARCHITECTURE.deb from what make has built
# and packaging/debian. No debhelper: make install does most of its work.
# Environment: SOURCE_DATE_EPOCH, else the time of the last commit.

set -euo pipefail
umask 022
cd "$(dirname "$0")/.."

work=build/deb root=debian/vsfq
version=$(build/vsfq version)
version=${version#vsfq }
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
	SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2> /dev/null || date +%s)
fi
export SOURCE_DATE_EPOCH

rm -rf "$work"
mkdir -p "$work/$root/DEBIAN"
cp packaging/debian/* "$work/debian"
make -s install DESTDIR="$PWD/$work/$root" PREFIX=/usr SYSCONFDIR=/etc \
	ZSHDIR=/usr/share/zsh/vendor-completions
cd "$work"

# There is one, from git to here: the history is there, not in a second list.
cat > debian/changelog << EOF
vsfq ($version) unstable; urgency=medium

  * The tree of vsfq of this day.

 -- $(sed -n 's/^Maintainer: //p' debian/control)  $(date -uRd "@$SOURCE_DATE_EPOCH")
EOF

strip -R .comment -R .note "$root"/usr/sbin/* "$root"/usr/bin/*
install -D -m 644 -t "$root/usr/share/doc/vsfq" debian/copyright
gzip -9nc debian/changelog > "$root/usr/share/doc/vsfq/changelog.gz"
gzip -9n "$root"/usr/share/man/man*/*
install -m 755 -t "$root/DEBIAN" debian/p{ostinst,rerm,ostrm}
(cd "$root" && find * -path DEBIAN -prune -o -type f -print0 | LC_ALL=C sort -z |
	xargs -0r md5sum) > md5sums
install -m 644 -t "$root/DEBIAN" md5sums

dpkg-shlibdeps "$root"/usr/sbin/* "$root"/usr/bin/*
dpkg-gencontrol -P"$root"
dpkg-deb --root-owner-group --build "$root" ..
