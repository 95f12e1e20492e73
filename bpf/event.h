/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What "vsfq monitor" reads: a rule with "log" has matched, something was
 * refused by a rule or a cap, a connection was made or closed.
 */
#ifndef EVENT_H
#define EVENT_H

#include "policy.h"

#define VSFQ_EVENT_BYTES	(256 << 10)	/* that wait to be read */
#define VSFQ_EVENT_RATE		100		/* a device's, in 2^30 ns, of */
						/* either kind, see below */

/* Beside enum vsfq_verdict, which are requests and datagrams. */
enum vsfq_event_what {
	VSFQ_CONNECT = VSFQ_NR_VERDICTS,
	VSFQ_CLOSE,
	VSFQ_CAPPED,
};

struct vsfq_event {
	__u64 time;			/* CLOCK_MONOTONIC, ns */
	struct vsfq_flow_key flow;
	__u32 rule;			/* of the policy in force, from 1, or 0 */
	char device[VSFQ_NAME_SIZE];
	char class[VSFQ_NAME_SIZE];	/* whose cap it is, else empty */
	__u64 sent;			/* bytes, as the flow counts them */
	__u64 received;
	__u8 direction;			/* enum vsfq_direction: who began */
	__u8 what;
	__u8 cap;			/* enum vsfq_open_cap, of VSFQ_CAPPED */
	__u8 unused[5];
};

#endif
