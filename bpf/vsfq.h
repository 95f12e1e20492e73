/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the BPF programs and the loader share: keys and values of the maps,
 * counters, caps. Includers provide __u types (vmlinux.h or linux/types.h).
 */
#ifndef VSFQ_H
#define VSFQ_H

#define VSFQ_OVERHEAD		16384	/* default cost of a packet in bytes */

#define VSFQ_MAX_DEVICES	1024	/* vsock devices on a machine */
#define VSFQ_MAX_QUEUES		256	/* qdiscs of kind vsfq on a machine */
#define VSFQ_MAX_PACKETS	65536	/* packets queued in all of them */
#define VSFQ_MAX_FLOWS		16384	/* flows scheduled at one time */
#define VSFQ_MAX_GROUPS		8192	/* groups scheduled at one time */
#define VSFQ_FLOW_TABLE		16384	/* flows remembered per device */
#define VSFQ_REFUSED_TABLE	1024	/* pairs whose datagrams are refused */
#define VSFQ_REQUESTS		4096	/* of connections, made at one time */
#define VSFQ_MAX_CONNECTIONS	16384	/* counted per device */
#define VSFQ_NR_BUCKETS		32	/* of a log2 histogram of usecs */
#define VSFQ_NR_LEVELS		32	/* of flows sorted by log2 of memory */
#define VSFQ_MAX_CLASSES	16	/* of a policy, the default two included */
#define VSFQ_NAME_SIZE		16	/* of a class, a device or its port */

#define VSFQ_LIMIT_DATAGRAMS	1000	/* of a class, unless the policy says */
#define VSFQ_LIMIT_MEMORY	(4 << 20)

/* skb->tc_index of a packet that the classifier has seen: mark | class */
#define VSFQ_TC_MARK		0x5600
#define VSFQ_TC_MASK		0xff00

enum vsfq_class {
	VSFQ_CLASS_STREAM,		/* stream and seqpacket sockets */
	VSFQ_CLASS_DGRAM,		/* datagrams, and what is not vsock */
	VSFQ_NR_CLASSES,	/* the others are the policy's */
};

enum vsfq_drop {
	VSFQ_DROP_PACKETS,		/* class over its limit of datagrams */
	VSFQ_DROP_MEMORY,		/* class over its limit of memory */
	VSFQ_DROP_GROUP,		/* group over its limit of memory */
	VSFQ_DROP_DEVICE,		/* device over its limit of memory */
	VSFQ_DROP_POOL,			/* qdisc has its share of packets */
	VSFQ_DROP_RESET,		/* qdisc reset: replaced, device down */
	VSFQ_NR_DROPS,
};

struct vsfq_stats {
	__u64 packets;
	__u64 bytes;
	__u64 cost;
};

/* Of a device's events, from each of its programs: see event.h. */
struct vsfq_event_limit {
	__u64 second;			/* of 2^30 ns, and how many in it */
	__u64 events[2];		/* that a rule asked for, and others */
};

/* The part of a packet's header that names a flow, in host byte order. */
struct vsock_tuple {
	__u32 src_cid;
	__u32 src_port;
	__u32 dst_cid;
	__u32 dst_port;
	__u32 type;
};

/* The classifier's maps, one set per device. */

struct vsfq_flow_key {
	__u32 local_cid;
	__u32 local_port;
	__u32 peer_cid;
	__u32 peer_port;
	__u32 type;
};

struct vsfq_flow_stats {
	struct vsfq_stats sent;
	struct vsfq_stats received;
	__u64 stalls;			/* see credit.bpf.h */
	__u64 cgroup;			/* of the sender here, 0: unknown */
	__u64 last_seen;		/* CLOCK_MONOTONIC, ns */
	__u64 judged[2];		/* in, out: see policy.h */
	__u32 uid;
	__u8 class;
	__u8 asked;			/* a request came, no answer left */
	__u8 opened;			/* enum vsfq_direction: who began */
	__u8 state;			/* of a connection: enum vsfq_flow_state */
};

enum vsfq_flow_state {
	VSFQ_FLOW_NEW,			/* nobody has answered, for all we know */
	VSFQ_FLOW_OPEN,
	VSFQ_FLOW_CLOSED,
};

/* The caps of connections; a class counts its own, then those of groups. */
enum vsfq_open_cap {
	VSFQ_CAP_CONNECTIONS,
	VSFQ_CAP_CONNECTION_RATE,
	VSFQ_NR_DEVICE_CAPS,
	VSFQ_CAP_CLASS = VSFQ_NR_DEVICE_CAPS,
	VSFQ_CAP_GROUP = 2 * VSFQ_NR_DEVICE_CAPS,
	VSFQ_NR_CLASS_CAPS = VSFQ_CAP_GROUP,
};

/* What is counted of connections while there is such a cap. */
struct vsfq_opens {
	__u64 open;
	__u64 until;			/* so far the rate is used up, ns */
};

/* An open connection, or the request for one. */
struct vsfq_connection {
	__u64 last_seen;		/* CLOCK_MONOTONIC, ns */
	__u64 group;
	__u16 class;
	__u8 isolate;			/* of the group, enum vsfq_isolate */
	__u8 grouped;			/* is it counted in that? */
	__u8 answered;
	__u8 opened;			/* enum vsfq_direction: who began */
	__u8 unused[2];
	__u32 ended;			/* somebody counts it out */
	__u32 pad;
};

struct vsfq_group_key {
	__u64 id;
	__u32 class;
	__u32 isolate;
};

struct vsfq_class_stats {
	struct vsfq_stats sent;
	struct vsfq_stats received;
	__u64 stalls;
	struct vsfq_opens opens;
	__u64 capped[VSFQ_NR_CLASS_CAPS];	/* requests refused by a cap */
};

struct vsfq_device_stats {
	char name[VSFQ_NAME_SIZE];	/* aligned, for rules that name one */
	char port[VSFQ_NAME_SIZE];	/* so is this; empty: it has none */
	__u32 local_cid;
	__u32 peer_cid;			/* VSFQ_ANY_CID: all that are not ours */
	struct vsfq_stats sent;
	struct vsfq_stats received;
	__u64 foreign;			/* packets without a vsock header */
	__u64 untracked;		/* packets that found no flow entry */
	__u64 refused[2];		/* by the policy, in and out */
	__u64 unlogged;			/* events too many, see event.h */
	struct vsfq_event_limit limit;
	struct vsfq_opens opens;
	__u64 capped[VSFQ_NR_DEVICE_CAPS];	/* requests refused by a cap */
	__u64 swept;			/* CLOCK_MONOTONIC, ns */
	__u64 bytes_until;		/* so far the rate of what arrives */
	__u64 packets_until;		/* is used up, ns */
	__u64 paused;			/* times that it was */
	__u64 generation;		/* of the policy with the section */
	__u32 section;			/* for the device, from 1 */
	__u32 pad;
};

#define VSFQ_ANY_CID		0xffffffff

/* What the program "vsfq_describe" is given. */
struct vsfq_description {
	char name[VSFQ_NAME_SIZE];
	char port[VSFQ_NAME_SIZE];
	__u32 local_cid;
	__u32 peer_cid;
};

/* The scheduler's map "queues": one entry per qdisc of kind vsfq. */

struct vsfq_queue_key {
	__u32 netns;			/* inode number of the namespace */
	__u32 ifindex;
	__u32 handle;			/* as in tc, both 0 for a default qdisc */
	__u32 parent;
};

/* What the program "vsfq_rename" is given. */
struct vsfq_rename {
	struct vsfq_queue_key key;
	char name[VSFQ_NAME_SIZE];
	char port[VSFQ_NAME_SIZE];
};

/* A list of slots, flows or groups, by index; 0 is no element. */
struct vsfq_list {
	__u32 head;
	__u32 tail;
};

/* What a rate allows; a debt below 0. */
struct vsfq_bucket {
	__s64 credit;
	__u64 credited_at;		/* CLOCK_MONOTONIC, ns */
};

struct vsfq_meter {
	struct vsfq_bucket bytes;
	struct vsfq_bucket packets;
};

struct vsfq_class_queue {
	struct vsfq_stats sent;		/* what left the queue */
	__u64 memory;			/* queued, as skb->truesize counts it */
	__u64 bytes;			/* queued */
	__u32 packets;			/* queued */
	__u32 datagrams;		/* queued, of them droppable */
	__u64 drops[VSFQ_NR_DROPS];
	__u64 sojourn[VSFQ_NR_BUCKETS];	/* bucket n: below 2^n usecs */
	__u64 sojourn_sum;		/* of all that left, usecs */

	struct vsfq_meter meter;
	__u64 throttled;		/* times that it began to wait */
	__u64 groups_throttled;		/* times that one of its groups did */
	__u64 parked_until;		/* the first of them has credit */
	struct vsfq_list parked;	/* groups without */

	__u64 vtime;			/* service received over weight */
	struct vsfq_list fresh;		/* flows that go first */
	struct vsfq_list groups;	/* groups that take turns */
	__u32 spare;			/* flow used when the pool is empty */
	__u32 levels;			/* bit n: fat[n] is not empty */
	__u32 fat[VSFQ_NR_LEVELS];	/* datagram flows by log2 of memory */
};

struct vsfq_queue {
	__u32 id;			/* never used twice in an instance */
	__u32 packets;			/* so many it has of each pool */
	__u32 flows;			/* the spare ones among them */
	__u32 groups;
	__u32 classes;			/* 1 + highest one that had a packet */
	__u32 waiting;			/* bit n: class n has no credit */
	__u32 capped;			/* were there rates at the last look? */
	__u32 blocked;			/* has the device no credit? */
	__u32 section;			/* of the policy for it, from 1 */
	__u64 generation;		/* of that policy */
	__u64 enforced;			/* generation at the last look */
	__u64 credit_at;		/* look again then */
	__u64 throttled;		/* times that it began to wait */
	__u64 vtime;			/* of the class served last */
	struct vsfq_meter meter;	/* of the device */
	struct vsfq_event_limit limit;
	char device[VSFQ_NAME_SIZE];	/* aligned, as above */
	char port[VSFQ_NAME_SIZE];	/* empty until the loader tells it */
	__u64 build;			/* of the program that made it */
	__u32 overhead;			/* that it goes by */
	__u32 instance;			/* of the maps that its flows are in */
	struct vsfq_class_queue class[VSFQ_MAX_CLASSES];
};

#endif
