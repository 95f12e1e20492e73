/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events go to a ring that all programs of this machine share. Nobody need
 * listen: the ring then fills up, and what follows is counted and forgotten,
 * at the price of a try for each of the few events that the limit lets by.
 */
#ifndef EVENT_BPF_H
#define EVENT_BPF_H

#include "match.bpf.h"
#include "event.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, VSFQ_EVENT_BYTES);
} events SEC(".maps");

/* So that a guest that tries port after port cannot keep us busy. */
static __always_inline bool event_allowed(struct vsfq_device_stats *dev,
					  __u64 now)
{
	__u64 second = now >> 30;

	/* If two CPUs begin a second at once a few events more come through. */
	if (dev->event_second != second) {
		dev->event_second = second;
		dev->events = 0;
	}
	return __sync_fetch_and_add(&dev->events, 1) < VSFQ_EVENT_RATE;
}

static __always_inline void event_fill(struct vsfq_event *e, __u64 now,
				       struct vsfq_flow_key *key, __u32 judged,
				       __u32 direction)
{
	const volatile __u64 *name = (const volatile __u64 *)device_name;
	__u64 *device = (__u64 *)e->device;

	e->time = now;
	e->flow = *key;
	e->rule = VSFQ_JUDGED_LOG(judged);
	device[0] = name[0];
	device[1] = name[1];
	e->direction = direction;
	e->verdict = VSFQ_JUDGED_VERDICT(judged);
	e->class = VSFQ_JUDGED_CLASS(judged);
}

static __always_inline void event_send(struct vsfq_device_stats *dev,
				       struct vsfq_flow_key *key, __u32 judged,
				       __u32 direction)
{
	__u64 now = bpf_ktime_get_ns();
	struct vsfq_event *e = NULL;

	if (event_allowed(dev, now))
		e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		__sync_fetch_and_add(&dev->unlogged, 1);
		return;
	}
	event_fill(e, now, key, judged, direction);
	bpf_ringbuf_submit(e, 0);
}

#endif
