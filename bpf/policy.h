/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A policy as the kernel holds it: the one value of the one map that is in
 * force. Another policy is another map, so that nobody ever sees half of one.
 */
#ifndef POLICY_H
#define POLICY_H

#include "vsfq.h"

#define VSFQ_MAX_RULES		1024	/* a power of two */
#define VSFQ_MAX_CGROUPS	64	/* different ones in a policy */
#define VSFQ_MAX_RANGES		4	/* of ports, in a rule, on each side */
#define VSFQ_MAX_WEIGHT		1000
#define VSFQ_MAX_LIMIT		65535	/* datagrams queued in a class */
#define VSFQ_MAX_SECTIONS	64	/* that give caps to devices */
#define VSFQ_MAX_PRIORITY	7
#define VSFQ_MAX_RATE		1000000000000ULL	/* bytes per second */
#define VSFQ_MAX_OPEN_RATE	1000000		/* connections per second */
#define VSFQ_MAX_PACKET_RATE	1000000000	/* per second */
/* 20 ms of it, and what a timer that is late may cost of a low one. */
#define VSFQ_PACKET_BURST(rate)	((rate) / 50 + 2)
#define VSFQ_MIN_BURST		65580	/* bytes: the largest packet */
/* Bytes per second: for the largest packet the driver waits a second. */
#define VSFQ_MIN_IN_RATE	65580
#define VSFQ_MAX_BURST		(1 << 30)
#define VSFQ_MIN_MEMORY		(64 << 10)
#define VSFQ_MAX_MEMORY		(1 << 30)
#define VSFQ_CGROUP_SIZE	240

enum vsfq_direction {
	VSFQ_IN,
	VSFQ_OUT,
	VSFQ_NR_DIRECTIONS,
};

enum vsfq_verdict {
	VSFQ_ACCEPT,			/* in the default class of its type */
	VSFQ_CLASS,			/* in this class */
	VSFQ_REJECT,			/* in: a RST; out: an error at once */
	VSFQ_DROP,
	VSFQ_NR_VERDICTS,
};

/* Both ends belong to it. */
struct vsfq_range {
	__u32 first;
	__u32 last;
};

/* A rule matches if everything it says does. */
struct vsfq_rule {
	struct vsfq_range local_cid;
	struct vsfq_range remote_cid;
	struct vsfq_range local_port[VSFQ_MAX_RANGES];
	struct vsfq_range remote_port[VSFQ_MAX_RANGES];
	char device[VSFQ_NAME_SIZE];	/* or its port; empty: any */
	__u8 directions;		/* bit n: enum vsfq_direction */
	__u8 types;			/* bit n: type n in the header */
	__u8 local_ports;		/* ranges given, 0: any port */
	__u8 remote_ports;
	__u8 cgroup;			/* 1 + index, 0: any */
	__u8 verdict;
	__u8 class;
	__u8 log;			/* send an event when it matches */
};

struct vsfq_cgroup {
	__u64 id;			/* 0: it is not there */
	__u32 level;			/* the root's is 0 */
	__u32 unused;
	char path[VSFQ_CGROUP_SIZE];	/* below the mount point */
};

/* Of a device, of a class on it, or of a group in that; 0 is no cap. */
struct vsfq_caps {
	__u64 rate;			/* bytes per second */
	__u64 burst;			/* bytes, 0 without a rate */
	__u64 memory;			/* of what is queued, datagrams only */
	__u32 packet_rate;		/* per second */
	__u32 connections;
	__u32 connection_rate;		/* new ones per second */
	__u32 unused;
};

/* Who is a group: the sockets of one ... */
enum vsfq_isolate {
	VSFQ_BY_CGROUP,
	VSFQ_BY_UID,
	VSFQ_BY_CID,			/* the remote one */
	VSFQ_BY_NONE,			/* class: all of them are one group */
	VSFQ_NR_ISOLATES,
};

struct vsfq_class_settings {
	char name[VSFQ_NAME_SIZE];	/* empty: there is no such class */
	struct vsfq_caps caps;
	struct vsfq_caps group;		/* of each in it */
	__u32 limit;			/* of datagrams queued */
	__u32 weight;
	__u8 priority;			/* 1 is first, 0 is none */
	__u8 isolate;			/* enum vsfq_isolate */
	__u8 unused[6];
};

/* The first section that names the device, or its port, counts. */
struct vsfq_device_settings {
	char name[VSFQ_NAME_SIZE];
	__u32 length;			/* that counts: all of it, unless */
					/* it ended with an asterisk */
	__u32 unused;
	struct vsfq_caps caps;
	struct vsfq_caps in;		/* rates of what arrives, no others */
};

struct vsfq_policy {
	__u64 generation;		/* never used twice, low 16 bits 0 */
	__u32 rules;
	__u32 devices;
	__u8 defaults[VSFQ_NR_DIRECTIONS];	/* enum vsfq_verdict */
	__u8 rejects_out;		/* something in it does */
	__u8 rates;			/* is there any cap that is a rate? */
	__u8 priorities;		/* has any class one? */
	__u8 opens;			/* is there any cap of connections? */
	__u8 paces;			/* is there any of what arrives? */
	__u8 unused;
	struct vsfq_class_settings class[VSFQ_MAX_CLASSES];
	struct vsfq_device_settings device[VSFQ_MAX_SECTIONS];
	struct vsfq_cgroup cgroup[VSFQ_MAX_CGROUPS];
	struct vsfq_rule rule[VSFQ_MAX_RULES];
};

/* What a flow remembers: generation | VSFQ_JUDGED_... | verdict << 8 | class */
#define VSFQ_JUDGED_MASK	0xffffULL
#define VSFQ_JUDGED_OWNER	0x8000	/* a rule asked for the owner's cgroup */
#define VSFQ_JUDGED_BLIND	0x4000	/* that of a socket here, of what arrived */
#define VSFQ_JUDGED(verdict, class)	((verdict) << 8 | (class))
#define VSFQ_JUDGED_VERDICT(judged)	((judged) >> 8 & 0x3f)
#define VSFQ_JUDGED_CLASS(judged)	((judged) & 0xff)

/*
 * Beside it match() returns which rule it was, from 1, VSFQ_BY_DEFAULT if none,
 * and whether that wants an event. What a flow remembers says neither.
 */
#define VSFQ_BY_DEFAULT		(VSFQ_MAX_RULES + 1)
#define VSFQ_JUDGED_BY(rule)	((__u32)(rule) << 16)
#define VSFQ_JUDGED_RULE(judged)	((judged) >> 16 & 0x7ff)
#define VSFQ_JUDGED_LOG		0x80000000

#endif
