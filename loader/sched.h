/* SPDX-License-Identifier: GPL-2.0-only */
/* The qdisc as the kernel knows it: registered once for all devices. */
#ifndef LOADER_SCHED_H
#define LOADER_SCHED_H

#include <linux/types.h>

#include "../bpf/vsfq.h"
#include "qdisc.h"

enum sched_state {
	SCHED_BEFORE,		/* it was, maybe as another version */
	SCHED_NEW,		/* nothing was */
};

/*
 * Register this version of the qdisc, with this overhead for those that are made
 * from now on, unless it is. Returns what was registered before, enum
 * sched_state, or -errno: -ENODATA: the kernel has no BTF, -EPROTONOSUPPORT: it
 * has no BPF qdiscs.
 */
int sched_register(__u32 overhead);

/* Did this version register it? With whatever overhead. */
bool sched_is_current(void);

/* And is it registered, as it was then? Somebody may have detached it since. */
bool sched_is_registered(void);

/*
 * Does a policy that is put in force reach the qdiscs that this registered?
 * Returns 1, 0 or -errno. Also 1 if nothing is pinned.
 */
int sched_is_reached(void);

/*
 * Devices of this namespace may have another name than when their qdiscs were
 * made, and a port, which no qdisc knows by itself; or other ones than at the
 * last call. Those of another version stay as it knows them.
 */
int sched_refresh(void);

/*
 * Qdiscs that exist keep working, no more can be made; the name is free when
 * this returns.
 */
int sched_unregister(void);

/* The statistics of a qdisc: -ENOENT if it is not one of the pinned. */
int sched_read(const struct qdisc *q, struct vsfq_queue *stats);

/*
 * Is there any qdisc of this kind, in whatever network namespace? Returns 1, 0 or
 * -errno. Of those that another version made it knows if that had the same map.
 */
int sched_used(void);

/*
 * Did this version make this qdisc, with this overhead? 0 stands for any.
 * Returns 1, 0 or -errno. What is registered does not tell: a qdisc keeps the
 * code that it was made with.
 */
int sched_made(const struct qdisc *q, __u32 overhead);

#endif
