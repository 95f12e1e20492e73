/* SPDX-License-Identifier: GPL-2.0-only */
/* What "vsfq monitor" reads: a rule with "log" has matched. */
#ifndef EVENT_H
#define EVENT_H

#include "policy.h"

#define VSFQ_EVENT_BYTES	(256 << 10)	/* that wait to be read */
#define VSFQ_EVENT_RATE		100		/* a device's, in 2^30 ns */

struct vsfq_event {
	__u64 time;			/* CLOCK_MONOTONIC, ns */
	struct vsfq_flow_key flow;
	__u32 rule;			/* of the policy in force, from 1 */
	char device[VSFQ_NAME_SIZE];
	__u8 direction;			/* enum vsfq_direction */
	__u8 verdict;			/* enum vsfq_verdict */
	__u8 class;
	__u8 unused[5];
};

#endif
