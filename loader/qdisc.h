/* SPDX-License-Identifier: GPL-2.0-only */
/* The root qdisc of a device. */
#ifndef LOADER_QDISC_H
#define LOADER_QDISC_H

#include <linux/types.h>
#include <stdbool.h>

struct qdisc {
	int ifindex;
	__u32 handle;
	__u32 parent;
	char kind[16];
	__u64 bytes;
	__u64 packets;
	__u32 drops;
	__u32 qlen;
	__u32 backlog;
};

/* Make a new vsfq qdisc the root, also where there is one already. */
int qdisc_attach(int ifindex);

/* Delete the root; the kernel puts the default in its place. */
int qdisc_detach(int ifindex);

/* Read the root: an empty kind if there is none. */
int qdisc_read(int ifindex, struct qdisc *q);

/* Is there one that only holds filters of tc, clsact or ingress? */
int qdisc_filters(int ifindex, bool *any);

bool qdisc_is_vsfq(const struct qdisc *q);

#endif
