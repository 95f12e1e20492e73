/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events go to a ring that all programs of this machine share. Nobody need
 * listen: the ring then fills up, and what follows is forgotten, at the price
 * of a try for each of the few events that the limit lets by.
 */
#ifndef EVENT_BPF_H
#define EVENT_BPF_H

#include "vsock.bpf.h"
#include "event.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, VSFQ_EVENT_BYTES);
} events SEC(".maps");

/*
 * So that a guest that tries port after port cannot keep us busy, nor take the
 * place of what a rule asked for.
 */
static __always_inline bool event_allowed(struct vsfq_event_limit *limit,
					  __u64 now, bool asked)
{
	__u64 second = now >> 30;

	/* If two CPUs begin a second at once a few events more come through. */
	if (limit->second != second) {
		limit->second = second;
		limit->events[0] = 0;
		limit->events[1] = 0;
	}
	return __sync_fetch_and_add(&limit->events[asked], 1) <
	       VSFQ_EVENT_RATE;
}

/* What only some events have is 0; @device is a name of VSFQ_NAME_SIZE. */
static __always_inline struct vsfq_event *
event_new(struct vsfq_event_limit *limit, const char *device,
	  struct vsfq_flow_key *key, __u32 direction, __u32 what, bool asked)
{
	const __u64 *name = (const __u64 *)device;
	__u64 now = bpf_ktime_get_ns(), *to;
	struct vsfq_event *e;

	if (!event_allowed(limit, now, asked))
		return NULL;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e)
		return NULL;
	__builtin_memset(e, 0, sizeof(*e));
	to = (__u64 *)e->device;
	to[0] = name[0];
	to[1] = name[1];
	e->time = now;
	e->flow = *key;
	e->direction = direction;
	e->what = what;
	return e;
}

/* Of what was judged just now: if it was refused, or a rule asks for it. */
static __always_inline void event_judged(struct vsfq_device_stats *dev,
					 struct vsfq_flow_key *key,
					 __u32 direction, __u32 judged)
{
	__u32 verdict = VSFQ_JUDGED_VERDICT(judged);
	__u32 rule = VSFQ_JUDGED_RULE(judged);
	bool asked = judged & VSFQ_JUDGED_LOG;
	struct vsfq_event *e;

	if (!rule || (!asked && verdict < VSFQ_REJECT))
		return;
	e = event_new(&dev->limit, dev->name, key, direction, verdict, asked);
	if (!e) {
		if (asked)
			__sync_fetch_and_add(&dev->unlogged, 1);
		return;
	}
	e->rule = rule == VSFQ_BY_DEFAULT ? 0 : rule;
	bpf_ringbuf_submit(e, 0);
}

/* A cap refused a request that the policy accepts. */
static __always_inline void event_capped(struct vsfq_device_stats *dev,
					 struct vsfq_flow_key *key,
					 __u32 direction,
					 const struct vsfq_class_settings *s,
					 __u32 cap)
{
	struct vsfq_event *e = event_new(&dev->limit, dev->name, key,
					 direction, VSFQ_CAPPED, false);

	if (!e)
		return;
	if (cap >= VSFQ_CAP_CLASS)
		__builtin_memcpy(e->class, s->name, sizeof(e->class));
	e->cap = cap;
	bpf_ringbuf_submit(e, 0);
}

/* A connection was made or closed. */
static __always_inline void event_connection(struct vsfq_device_stats *dev,
					     struct vsfq_flow_key *key,
					     struct vsfq_flow_stats *stats,
					     __u32 what)
{
	struct vsfq_event *e = event_new(&dev->limit, dev->name, key,
					 stats->opened, what, false);

	if (!e)
		return;
	e->sent = stats->sent.bytes;
	e->received = stats->received.bytes;
	bpf_ringbuf_submit(e, 0);
}

/* The queue of a class had no room for this flow. */
static __always_inline void event_dropped(struct vsfq_queue *q,
					  struct vsfq_flow_key *key,
					  const char *class, __u32 reason,
					  __u64 drops)
{
	struct vsfq_event *e = event_new(&q->limit, q->device, key, VSFQ_OUT,
					 VSFQ_DROPPED, false);

	if (!e)
		return;
	__builtin_memcpy(e->class, class, sizeof(e->class));
	e->reason = reason;
	e->drops = drops;
	bpf_ringbuf_submit(e, 0);
}

#endif
