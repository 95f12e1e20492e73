/* SPDX-License-Identifier: GPL-2.0-only */
/* Whose programs are on the tcx hooks of a device. */
#ifndef LOADER_TCX_H
#define LOADER_TCX_H

#include <linux/types.h>
#include <stdbool.h>

#define TCX_MAX_PROGRAMS	64	/* the kernel's own limit, of each hook */

struct tcx_programs {
	__u32 count;
	__u32 id[TCX_MAX_PROGRAMS];	/* in the order in which they run */
};

/* Returns 0 or -errno; -EPERM without CAP_NET_ADMIN. */
int tcx_read(int ifindex, bool egress, struct tcx_programs *programs);

#endif
