# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that lack something, by what this one tells of its types. Commands
for a mount namespace of one's own; status 77 if this kernel tells nothing."""

import struct

BTF = "/sys/kernel/btf/vmlinux"
NONE = "mount --bind /dev/null %s || exit 77" % BTF
# A header, and the empty name that every BTF has.
EMPTY = struct.pack("<HBBIIIIIB", 0xeb9f, 1, 0, 24, 0, 0, 0, 1, 0)
NO_TYPES = "printf '%s' > types && mount --bind types %s || exit 77" % (
    "".join("\\%03o" % byte for byte in EMPTY), BTF)
