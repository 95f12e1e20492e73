# SPDX-License-Identifier: GPL-2.0-only
"""Memory and copies that a kernel is refused, everywhere or in vsock's code alone:
bash functions for a kernel with fault injection."""

FUNCTIONS = """
# Those settings that are there.
set_all() {	# NAME VALUE
	local d
	for d in failslab fail_page_alloc fail_usercopy; do
		d=/sys/kernel/debug/$d/$1
		[ ! -e $d ] || echo $2 >$d || return
	done
}

# To what may not sleep for memory, or to any.
possible() {	# atomic|any
	set_all verbose 0 && set_all min-order 0 &&
	set_all ignore-gfp-highmem N &&
	set_all ignore-gfp-wait $([ $1 = any ] && echo N || echo Y)
}

# From the first function with such names to what follows the last one, of those
# that stay: what begins and ends a kernel lies elsewhere.
range_of() {	# NAMES
	awk '$3 == "_stext" { text = 1 }
	     $3 == "_etext" { text = 0 }
	     (text || $4) && $2 ~ /[tT]/ { print "0x" $1, $3 }' \
		/proc/kallsyms | sort |
	awk 'last { end = $1; last = 0 }
	     $2 ~ /^('$1')_[a-z0-9_]+$/ { last = 1; if (!start) start = $1 }
	     END { print start, last ? "0xffffffffffffffff" : end }'
}

# Only where one of the code under test is among the callers, and none of who
# cannot do without.
confined() {	# vsock|vhost [NAMES]
	local names=$1 range
	[ $1 = vhost ] || names='vsock|virtio_vsock|virtio_transport'
	range=($(range_of "$names"))
	set_all require-start ${range[0]} && set_all require-end ${range[1]} ||
		return
	range=($([ -z "$2" ] || range_of "$2"))
	set_all reject-start ${range[0]:-0} && set_all reject-end ${range[1]:-0}
}

by_chance() {	# PERCENT
	set_all times -1 && set_all probability $1 &&
	echo 0 >/sys/kernel/debug/fail_usercopy/probability
}

no_faults() {
	set_all probability 0 && set_all require-start 0 &&
	set_all require-end 0xffffffffffffffff && set_all reject-end 0
}
"""

DRIVER = "/sys/bus/virtio/drivers/vmw_vsock_virtio_transport"
# Of a device {}: the driver is bound or it is not; in the end it is.
PROBE = "build/vsfault write %s/bind %s/unbind {}" % (DRIVER, DRIVER)
# Whatever is refused then, it lets go: nobody could be told.
REMOVE = ("echo {0} >%s/unbind && build/vsfault write %s/unbind %s/bind {0} && "
          "echo {0} >%s/bind" % (4 * (DRIVER,)))
