/* SPDX-License-Identifier: GPL-2.0-only */
/* What waits in the qdisc of each flow: a look into the scheduler's memory. */
#ifndef LOADER_BACKLOG_H
#define LOADER_BACKLOG_H

#include <linux/types.h>

#include "../bpf/vsfq.h"

struct vsfq_flow_key;
struct vsfq_queue;

struct backlog {
	__u64 packets;
	__u64 bytes;
	__u64 memory;		/* as skb->truesize counts it */
	__u64 waited;		/* the first one so far, ns */
	__u64 sojourn[VSFQ_NR_BUCKETS];	/* of those sent, as a class's */
};

/*
 * Before the first backlog_read(), and after the last: 0, -ENOENT if no qdisc
 * is registered, -ESTALE if this version did not do it, or did it again, with
 * another overhead, since this queue was made.
 */
int backlog_open(const struct vsfq_queue *queue);
void backlog_close(void);

/*
 * That of a flow in the queue with this id. All 0 if nothing is queued and none
 * was sent; if the scheduler is at work, figures that belong together may be a
 * packet apart.
 */
void backlog_read(__u32 queue, __u32 class, const struct vsfq_flow_key *key,
		  struct backlog *backlog);

#endif
