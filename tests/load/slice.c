// SPDX-License-Identifier: GPL-2.0-only
#include <linux/sched/types.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "slice.h"

#define SLICE_NS 100000		/* the least the kernel takes */

void slice_short(void)
{
	struct sched_attr attr = {
		.size = sizeof(attr),
		.sched_nice = getpriority(PRIO_PROCESS, 0),
		.sched_runtime = SLICE_NS,
	};

	syscall(SYS_sched_setattr, 0, &attr, 0);
}
