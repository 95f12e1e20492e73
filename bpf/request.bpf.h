/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a policy says about a connection request, from connect() until it is
 * made or given up: one answer of one policy, whatever is in force meanwhile.
 * connect.bpf.c leaves it under the name of the socket that asks, and there the
 * classifier finds it, each time that the request is a packet. Who could not be
 * told yet, having no local port, is told by the classifier, once.
 *
 * Without a BPF LSM nobody sees that connect() is called, and there is none of
 * it: the classifier judges each packet by the policy in force.
 */
#ifndef REQUEST_BPF_H
#define REQUEST_BPF_H

#include "policy.bpf.h"

struct request {
	__u64 generation;		/* of the policy, 0: there was none */
	__u64 device[VSFQ_NAME_SIZE / 8];	/* asked about, its name */
	__u32 local_cid;
	__u32 peer_cid;
	__u32 peer_port;
	__u32 judged;			/* all that match() said, 0: nothing */
};

/* By the cookie of the socket; one that had to make room is judged anew. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, VSFQ_REQUESTS);
	__type(key, __u64);
	__type(value, struct request);
} requests SEC(".maps");

/* What no policy says. */
#define REQUEST_PASSES		(VSFQ_JUDGED_BY(VSFQ_BY_DEFAULT) | \
				 VSFQ_JUDGED(VSFQ_ACCEPT, VSFQ_CLASS_STREAM))

static __always_inline __u64 generation_of(struct vsfq_policy *p)
{
	return p ? p->generation : 0;
}

#endif
