/* SPDX-License-Identifier: GPL-2.0-only */
/* The qdisc as the kernel knows it: registered once for all devices. */
#ifndef LOADER_SCHED_H
#define LOADER_SCHED_H

#include <linux/types.h>

#include "../bpf/vsfq.h"
#include "qdisc.h"

enum sched_state {
	SCHED_OURS,		/* this version was registered before */
	SCHED_NEW,		/* registered now */
	SCHED_REPLACED,		/* registered now, in place of another version */
};

/*
 * Register the qdisc unless it is; an overhead of 0 is the default. Returns enum sched_state, or -errno:
 * -ENODATA: the kernel has no BTF, -EPROTONOSUPPORT: it has no BPF qdiscs.
 */
int sched_register(unsigned int overhead);

/* Did this version register it? With whatever overhead. */
bool sched_is_current(void);

/* Qdiscs that exist keep working, no more can be made. */
int sched_unregister(void);

/* The statistics of a qdisc: -ENOENT if it is not one of the pinned. */
int sched_read(const struct qdisc *q, struct vsfq_queue *stats);

#endif
