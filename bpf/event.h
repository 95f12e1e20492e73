/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What "vsfq monitor" reads: a rule with "log" has matched, something was
 * refused by a rule or a cap, a connection was made or closed, a queue was full.
 */
#ifndef EVENT_H
#define EVENT_H

#include "policy.h"

#define VSFQ_EVENT_BYTES	(256 << 10)	/* that wait to be read */
#define VSFQ_EVENT_RATE		100		/* a device's, in 2^30 ns: of those */
						/* that a rule asked for, of others, */
						/* and of what its qdisc drops */

/* Beside enum vsfq_verdict, which are requests and datagrams. */
enum vsfq_event_what {
	VSFQ_CONNECT = VSFQ_NR_VERDICTS,
	VSFQ_CLOSE,
	VSFQ_CAPPED,
	VSFQ_DROPPED,
};

struct vsfq_event {
	__u64 time;			/* CLOCK_MONOTONIC, ns */
	struct vsfq_flow_key flow;
	__u32 rule;			/* of the policy in force, from 1, or 0 */
	char device[VSFQ_NAME_SIZE];
	char class[VSFQ_NAME_SIZE];	/* whose cap or queue it is, or empty */
	__u64 sent;			/* bytes, as the flow counts them */
	__u64 received;
	__u64 drops;			/* of the class, for that reason, so far */
	__u8 direction;			/* enum vsfq_direction: who began */
	__u8 what;
	__u8 cap;			/* enum vsfq_open_cap, of VSFQ_CAPPED */
	__u8 reason;			/* enum vsfq_drop, of VSFQ_DROPPED */
	__u8 unused[4];
};

#endif
