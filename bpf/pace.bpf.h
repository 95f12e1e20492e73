/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a device may receive in a second. Nothing that arrives can be put off
 * here: the packet is let in, and the driver is asked to take no other one for a
 * while, by the time of arrival, that is moved into the future. Then it is the
 * sender's ring that fills, and the sender's qdisc that decides who waits.
 *
 * A rate is a moment ("until") up to which it is used up, as the generic cell
 * rate algorithm has it (ITU-T I.371): each packet moves it by the time that it
 * may take. After a pause it is a burst behind.
 *
 * AN EXAMPLE. 1 MB/s and bursts of 65,580 bytes: the first packet of 65,580
 * after a pause uses up the rate until now. The next one, right behind it, does
 * until 66 ms from now, and is the last one for so long.
 */
#ifndef PACE_BPF_H
#define PACE_BPF_H

#include "policy.bpf.h"

/* The driver waits no longer than this for a packet, and no debt is larger. */
#define PACE_MAX_NS		NSEC_PER_SEC

/* For how long the rate is used up after this packet, ns. */
static __always_inline __u64 pace_after(__u64 *until, __u64 amount, __u64 rate,
					__u64 burst, __u64 now)
{
	__u64 from, next = *until;

	if (!rate)
		return 0;
	from = now - burst * NSEC_PER_SEC / rate;
	if ((__s64)(next - from) < 0)
		next = from;
	next += amount * NSEC_PER_SEC / rate;
	if ((__s64)(next - now) > (__s64)PACE_MAX_NS)
		next = now + PACE_MAX_NS;
	*until = next;
	return (__s64)(next - now) > 0 ? next - now : 0;
}

/*
 * What the policy says of the device, NULL if nothing; looked for once for each
 * policy. First the generation: who renames the device sets it back.
 */
static __always_inline struct vsfq_caps *pace_caps(struct vsfq_policy *p,
						   struct vsfq_device_stats *dev)
{
	if (dev->generation != p->generation) {
		__sync_lock_test_and_set(&dev->generation, p->generation);
		dev->section = device_section(p, (void *)dev->name,
					      (void *)dev->port);
	}
	return dev->section ? &p->device[(dev->section - 1) %
					 VSFQ_MAX_SECTIONS].in : NULL;
}

/* A packet is let in. The driver shows them one at a time. */
static __always_inline void pace(struct __sk_buff *skb, struct vsfq_policy *p,
				 struct vsfq_device_stats *dev)
{
	struct vsfq_caps *in = p && p->paces ? pace_caps(p, dev) : NULL;
	__u64 now, bytes, packets;

	if (!in)
		return;
	now = bpf_ktime_get_ns();
	bytes = pace_after(&dev->bytes_until, skb->len, in->rate, in->burst,
			   now);
	packets = pace_after(&dev->packets_until, 1, in->packet_rate,
			     VSFQ_PACKET_BURST(in->packet_rate), now);
	if (bytes < packets)
		bytes = packets;
	if (!bytes)
		return;
	dev->paused++;
	skb->tstamp += bytes;
}

#endif
