/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the scheduler keeps of packets, flows and groups: the elements of its
 * pools (pool.bpf.h), and the keys by which it finds them. Flows and packets
 * are also read by the loader, of the same version, while they change.
 */
#ifndef QUEUE_H
#define QUEUE_H

#include "vsfq.h"

struct flow_key {
	__u32 queue;
	__u32 class;
	struct vsock_tuple tuple;
};

struct group_key {
	__u32 queue;
	__u16 class;
	__u16 isolate;			/* enum vsfq_isolate */
	__u64 id;
};

/* How long packets waited in the queue; bucket n: below 2^n usecs. */
struct sojourn {
	__u64 buckets[VSFQ_NR_BUCKETS];
};

/* A queued packet; the packet itself is in the map "skbs". */
struct slot {
	__u64 queued_at;
	__u32 cost;
	__u32 memory;
	__u32 length;
	__u32 next;
	__u32 packets;			/* that a request to send stands for */
	bool datagram;
};

/*
 * Flows with packets are on the fresh list of their class or on the turn list
 * of their group, or on both. Flows without are on a list too until their turn
 * comes: who comes back within a round does not get a second quantum.
 */
struct flow {
	struct flow_key key;
	__u32 group;
	__s64 deficit;
	__u64 memory;
	__u64 bytes;
	__u32 packets;
	struct vsfq_list slots;
	__u32 next_turn;
	__u32 next_fresh;
	__u32 fatter;			/* neighbours on the fat list */
	__u32 thinner;
	bool on_turn;
	bool on_fresh;
	bool spare;
	bool forgotten;			/* nothing finds it by its key */
	__u8 level;			/* 0: on none of the fat lists */
	bool sent;			/* anything */
	struct sojourn sojourn;
};

struct group {
	struct group_key key;
	__s64 deficit;
	__u64 memory;
	struct vsfq_meter meter;
	struct vsfq_list flows;
	__u32 next_turn;
	__u32 members;			/* flows, on a list or not */
	bool on_turn;
	bool waits;			/* for credit, since it sent last */
};

#endif
