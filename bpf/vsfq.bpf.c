// SPDX-License-Identifier: GPL-2.0-only
/*
 * vsfq: a qdisc that shares the service time of a vsock device.
 *
 * THE IDEA. Moving a packet through a virtqueue costs about the same whether
 * it carries 64 bytes or 4,096. A scheduler that counts bytes therefore calls
 * it fair when a flood of small datagrams takes nearly all of the device's
 * time. vsfq counts time, in bytes: the cost of what is dequeued is
 *
 *	packets * overhead + length
 *
 * where overhead is the time of one packet expressed in bytes that could
 * have been copied instead. Cost is shared on three levels:
 *
 *	class	streams and datagrams, 1:1, or those of the policy (policy.h)
 *		by weight
 *	group	the cgroup that owns the socket, or what the policy says is a
 *		group; equal shares in a class, so that opening many sockets
 *		gains nothing
 *	flow	a socket pair; equal shares in a group
 *
 * Classes are few: each has a virtual time, the cost it was served over its
 * weight, and the class that is behind goes next. Groups and flows may be
 * many: they take turns in deficit round robin. A flow's turn adds one
 * quantum to its deficit, packets are taken while it is positive and may make
 * it negative, which the following turns pay back.
 *
 * A flow that had nothing queued and has not used up its quantum of this
 * round goes first, before everything that takes turns, in every class and
 * group ("fresh"). Only packets within the rest of its quantum do: a ping,
 * a connection request or a small answer, never 64 KiB of bulk. What goes
 * first is charged like anything else, and neither a class nor a group may be
 * ahead of its share by more than "borrow": many short-lived flows are
 * prompt, but not more than their share in the long run.
 *
 * AN EXAMPLE, with overhead 16,384. A bulk stream asks for 65,580 bytes in
 * one packet: cost 81,964. A datagram of 64 bytes has length 108: cost
 * 16,492. Classes being 1:1, the device sends 4.97 datagrams for each 64 KiB
 * of stream, and half of its time belongs to the streams. With bytes as
 * the measure it would send 607, and the streams would get 1 % of the time.
 * With eight streams each of them has a sixteenth of the device. A ping on a
 * ninth stream (cost 16,492, quantum 65,536) finds eight streams taking turns
 * and goes before them, up to three times in each round.
 *
 * CAPS. A device, a class and each group may have a rate (policy.h): a token
 * bucket in each qdisc, in bytes of length, as tc counts them, and one in
 * packets. Who has credit sends; the last packet may be longer than that, and
 * the debt is paid before the next one. A class without credit is passed over:
 * its packets wait, the others have the device. A group without is parked, out
 * of the way of those that take turns, until the first of the parked ones has
 * credit or there is another policy; so is one that would be forgotten, until it
 * owes nothing. When all that has packets waits the watchdog asks again once
 * there is credit. Waiting earns no claim to time: a class comes back as one that
 * was idle does.
 *
 * PRIORITY. A class may go before the others. It has to have a rate, which is
 * what it can take from them: without credit it waits like any other. It has no
 * virtual time of its own, and takes no part in the sharing.
 *
 * DROPS. What is queued of a stream is not data but a request to send
 * ("grant"): dropping one loses nothing and stalls the connection until it asks
 * again. So none is dropped, except when this qdisc has its share of
 * VSFQ_MAX_PACKETS and no datagram of its own that could go instead. Datagrams
 * are limited per class in number and in memory; over the limit the oldest
 * datagram of the fattest flow goes. Fattest is judged by the power of two of
 * the memory a flow holds, so the choice is within a factor of two of the truth
 * and takes the same time for one flow as for ten thousand. Each drop is counted
 * with its reason, and told (event.h).
 *
 * LIMITS. No allocation: packets, flows and groups come from fixed pools (see
 * vsfq.h for their sizes, pool.bpf.h for how). All qdiscs of the machine share
 * them, as long as all have the same overhead, which is a constant of this
 * object, and none gets more than half of what is left. What there is no flow
 * or group for shares a spare one of its class. A socket without an owner (a
 * reset for a connection that does not exist) is in the group of cgroup 0, and
 * so is everything orphaned before it came here. Only a cap delays anything: if
 * a packet is queued in a class without one, it is sent as soon as the device
 * asks.
 *
 * BY HAND, without the loader and without its classifier (the qdisc then
 * classifies by itself):
 *
 *	mkdir /sys/fs/bpf/hand
 *	bpftool struct_ops register build/vsfq.bpf.o /sys/fs/bpf/hand
 *	tc qdisc replace dev virtio-vsock0 root vsfq
 *	bpftool map dump name queues
 *	tc qdisc delete dev virtio-vsock0 root
 *	rm -r /sys/fs/bpf/hand
 */
#include "event.bpf.h"
#include "policy.bpf.h"
#include "pool.bpf.h"
#include "queue.h"
#include <bpf/bpf_tracing.h>

char _license[] SEC("license") = "GPL";

#define NET_XMIT_SUCCESS	0
#define NET_XMIT_DROP		1

#define E2BIG			7
#define ENOMEM			12
#define ENOSPC			28
#define TC_H_ROOT		0xffffffff

#define MAX_STEPS		(1 << 20)
#define MAX_STEPS_RESET		(1 << 18)
#define MAX_DROPS		64	/* to make room for one datagram */
#define MAX_LOOKS		64	/* at flows, for one of a group */
#define OWN_PACKETS		64	/* of a qdisc, whatever others do */
#define OWN_FLOWS		VSFQ_MAX_CLASSES	/* for the spare ones */
#define OWN_GROUPS		VSFQ_MAX_CLASSES
#define KEEP_FLOWS		(64 + OWN_FLOWS)	/* of an idle qdisc */
#define VTIME_SHIFT		10
#define MAX_LEAD		(1ULL << 40)	/* of one class, in vtime */
/* Wraps after a MiB of cost, so that everybody sees it if that went wrong. */
#define START_VTIME		(-1ULL << 30)
#define RETRY_NS		1000000
/* Another policy may lift a cap while all is quiet: look again so often. */
#define RECHECK_NS		(NSEC_PER_SEC / 10)
#define PARK_NS			(NSEC_PER_SEC / 1000)

/* The time of one packet, in bytes: docs/fairness.md says how to measure it. */
const volatile __u32 overhead = VSFQ_OVERHEAD;
const volatile __u64 build;	/* tells the loader one version from another */
const char default_names[VSFQ_NR_CLASSES + 1][VSFQ_NAME_SIZE] = {
	[VSFQ_CLASS_STREAM] = "stream",
	[VSFQ_CLASS_DGRAM] = "dgram",
};

/*
 * Three small packets go first in a round, or one that is not so small. When
 * overhead is less than the default's there are more of them: a turn must not
 * be so short that the largest packet takes thousands of rounds to pay for.
 */
#define quantum			((__s64)4 * (overhead > VSFQ_OVERHEAD ? \
					     overhead : VSFQ_OVERHEAD))
#define borrow			(4 * quantum)

__pool(struct slot, slot, VSFQ_MAX_PACKETS, OWN_PACKETS)
__pool(struct flow, flow, VSFQ_MAX_FLOWS, OWN_FLOWS)
__pool(struct group, group, VSFQ_MAX_GROUPS, OWN_GROUPS)

struct skb_owner {
	struct sk_buff __kptr *skb;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, VSFQ_MAX_PACKETS);
	__type(key, __u32);
	__type(value, struct skb_owner);
} skbs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, VSFQ_MAX_QUEUES);
	__type(key, struct vsfq_queue_key);
	__type(value, struct vsfq_queue);
} queues SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, VSFQ_MAX_FLOWS);
	__type(key, struct flow_key);
	__type(value, __u32);
} flow_index SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, VSFQ_MAX_GROUPS);
	__type(key, struct group_key);
	__type(value, __u32);
} group_index SEC(".maps");

/*
 * What flows had counted that have ended, for the loader: a ping's ends with
 * each round. Who has a new entry takes the place of the one that was idle
 * longest, in the end also of those of a queue that is gone, whose id nobody
 * has again.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, VSFQ_MAX_FLOWS);
	__type(key, struct flow_key);
	__type(value, struct sojourn);
} sojourns SEC(".maps");

static const struct vsfq_queue new_queue;
static __u32 last_queue_id;

/*
 * The map of queues may be that of the object before, of another overhead or
 * version, whose qdiscs have pools of their own: the loader looks into ours.
 */
__u32 instance;

/* What enqueue needs to know of a packet. */
struct packet {
	struct flow_key key;
	__u64 group;
	__u32 isolate;
	__u32 packets;
	__u32 cost;
	__u32 length;
	__u32 memory;
	bool datagram;
};

struct netlink_ext_ack;
struct nlattr;

extern void bpf_kfree_skb(struct sk_buff *skb) __ksym;
extern void bpf_qdisc_skb_drop(struct sk_buff *skb,
			       struct bpf_sk_buff_ptr *to_free) __ksym;
extern void bpf_qdisc_watchdog_schedule(struct Qdisc *sch, __u64 expire,
					__u64 delta_ns) __ksym;
extern void bpf_qdisc_bstats_update(struct Qdisc *sch,
				    const struct sk_buff *skb) __ksym;

/*
 * Functions that are not static are verified once and by themselves; a static
 * one is verified again on every path that leads to a call. That is why the
 * larger ones are global, and the only reason.
 */
#define __verified_once	__noinline

static __always_inline struct vsfq_class_queue *class_of(struct vsfq_queue *q,
							 __u32 class)
{
	if (class >= VSFQ_MAX_CLASSES)
		return NULL;
	/* The compiler may not compute the address before the check. */
	barrier_var(class);
	return &q->class[class];
}

static __always_inline struct vsfq_queue_key queue_key(struct Qdisc *sch)
{
	struct net_device *dev = sch->dev_queue->dev;
	struct vsfq_queue_key key = {
		.netns = dev->nd_net.net->ns.inum,
		.ifindex = dev->ifindex,
		.handle = sch->handle,
		.parent = sch->parent,
	};

	return key;
}

static __always_inline struct vsfq_queue *queue_of(struct Qdisc *sch)
{
	struct vsfq_queue_key key = queue_key(sch);

	return bpf_map_lookup_elem(&queues, &key);
}

/* The smallest n with 2^n > x, at most 31. */
__verified_once __u32 log2_above(__u64 x)
{
	__u32 n = 0, step;

	if (x >> 31)
		return 31;
	for (step = 16; step; step >>= 1) {
		if (x >> step) {
			n += step;
			x >>= step;
		}
	}
	return n + x;
}

/*
 * The fat lists. A flow of datagrams is on the list of the power of two of
 * the memory it holds.
 */
static __always_inline void fat_unlink(struct vsfq_class_queue *c,
				       struct flow *f)
{
	__u32 level = f->level % VSFQ_NR_LEVELS;

	if (f->thinner)
		flow_at(f->thinner)->fatter = f->fatter;
	if (f->fatter)
		flow_at(f->fatter)->thinner = f->thinner;
	else
		c->fat[level] = f->thinner;
	if (!c->fat[level])
		c->levels &= ~(1U << level);
	f->level = 0;
}

static __always_inline void fat_link(struct vsfq_class_queue *c, __u32 i,
				     __u32 level)
{
	struct flow *f = flow_at(i);

	f->level = level;
	f->fatter = 0;
	f->thinner = c->fat[level];
	if (f->thinner)
		flow_at(f->thinner)->fatter = i;
	c->fat[level] = i;
	c->levels |= 1U << level;
}

__verified_once int fat_update(struct vsfq_class_queue *c __arg_nonnull,
			       __u32 i)
{
	struct flow *f = flow_at(i);
	__u32 level = log2_above(f->memory) % VSFQ_NR_LEVELS;

	if (level == f->level)
		return 0;
	if (f->level)
		fat_unlink(c, f);
	if (level)
		fat_link(c, i, level);
	return 0;
}

/* The highest bit; log2_above() does not tell the two highest apart. */
static __always_inline __u32 highest(__u32 bits)
{
	__u32 rest = bits & ~(1U << (VSFQ_NR_LEVELS - 1));

	return (bits == rest ? log2_above(rest) - 1 : VSFQ_NR_LEVELS - 1) %
	       VSFQ_NR_LEVELS;
}

static __always_inline __u32 fattest(struct vsfq_class_queue *c)
{
	return c->levels ? c->fat[highest(c->levels)] : 0;
}

/* The same of a group; 0 if none of the first MAX_LOOKS of the class is. */
__verified_once __u32 fattest_of(struct vsfq_class_queue *c __arg_nonnull,
				 __u32 group)
{
	__u32 levels = c->levels, level, i = 0;
	int n;

	bpf_for(n, 0, MAX_LOOKS) {
		if (!i && !levels)
			break;
		if (!i) {
			level = highest(levels);
			levels &= ~(1U << level);
			i = c->fat[level];
		}
		if (flow_at(i)->group == group)
			return i;
		i = flow_at(i)->thinner;
	}
	return 0;
}

/* Groups and flows come and go. */
static __always_inline void group_start(struct group *g, struct group_key *key)
{
	g->key = *key;
	g->deficit = quantum;
	g->memory = 0;
	__builtin_memset(&g->meter, 0, sizeof(g->meter));
	g->flows.head = 0;
	g->members = 0;
	g->on_turn = false;
	g->waits = false;
}

__verified_once __u32 group_of(struct vsfq_queue *q __arg_nonnull,
			       struct group_key *key __arg_nonnull)
{
	__u32 i, *found;

	found = bpf_map_lookup_elem(&group_index, key);
	if (found)
		return *found;
	i = group_get(&q->groups);
	if (!i)
		return 0;
	group_start(group_at(i), key);
	if (!bpf_map_update_elem(&group_index, key, &i, BPF_NOEXIST))
		return i;
	group_put(i, &q->groups);
	return 0;
}

static __always_inline void group_release(struct vsfq_queue *q, __u32 i)
{
	struct group_key key = group_at(i)->key;

	/* What is still found by its key must not become another one. */
	if (!bpf_map_delete_elem(&group_index, &key))
		group_put(i, &q->groups);
}

static __always_inline void flow_start(struct flow *f, struct flow_key *key)
{
	f->key = *key;
	f->deficit = quantum;
	f->memory = 0;
	f->bytes = 0;
	f->packets = 0;
	f->slots.head = 0;
	f->on_turn = false;
	f->on_fresh = false;
	f->spare = false;
	f->forgotten = false;
	f->level = 0;
	f->sent = false;
	__builtin_memset(&f->sojourn, 0, sizeof(f->sojourn));
}

/* A new flow; the spare one of its class, if there is no room for it. */
__verified_once __u32 flow_new(struct vsfq_queue *q __arg_nonnull,
			       struct packet *p __arg_nonnull, __u32 spare)
{
	struct group_key group = { p->key.queue, p->key.class, p->isolate,
				   p->group };
	__u32 i = flow_get(&q->flows);
	struct flow *f = flow_at(i);

	if (!i)
		return spare;
	if (bpf_map_update_elem(&flow_index, &p->key, &i, BPF_NOEXIST)) {
		flow_put(i, &q->flows);
		return spare;
	}
	flow_start(f, &p->key);
	f->group = group_of(q, &group) ?: flow_at(spare)->group;
	group_at(f->group)->members++;
	return i;
}

/* When a flow ends. Should there be no room, only its figures are lost. */
__verified_once int sojourn_keep(struct flow *f __arg_nonnull)
{
	struct sojourn *kept;
	__u32 i;

	if (!f->sent)
		return 0;
	kept = bpf_map_lookup_elem(&sojourns, &f->key);
	if (!kept)
		return bpf_map_update_elem(&sojourns, &f->key, &f->sojourn,
					   BPF_NOEXIST);
	for (i = 0; i < VSFQ_NR_BUCKETS; i++)
		kept->buckets[i] += f->sojourn.buckets[i];
	return 0;
}

/* Nothing finds it any more; false: still, and it has to stay what it is. */
static __always_inline bool flow_forget(struct flow *f)
{
	struct flow_key key = f->key;

	f->forgotten = !bpf_map_delete_elem(&flow_index, &key);
	if (f->forgotten)
		sojourn_keep(f);
	return f->forgotten;
}

static __always_inline void flow_release(struct vsfq_queue *q, __u32 i)
{
	struct flow *f = flow_at(i);

	if (f->spare || (!f->forgotten && !flow_forget(f)))
		return;
	group_at(f->group)->members--;
	flow_put(i, &q->flows);
}

/* Is the packet's flow in another group by now? A flow may only change it while
 * nothing is queued: its order would be lost.
 */
static __always_inline bool flow_moves(struct flow *f, struct packet *p)
{
	struct group_key *key = &group_at(f->group)->key;

	return !f->packets &&
	       (key->isolate != p->isolate || key->id != p->group);
}

/* The flow that a packet goes to. */
static __always_inline __u32 flow_of(struct vsfq_queue *q, struct packet *p,
				     __u32 *found, __u32 spare)
{
	struct flow *f;

	if (!found)
		return flow_new(q, p, spare);
	f = flow_at(*found);
	/* The old one stays where it is until its turn ends it. */
	if (flow_moves(f, p) && flow_forget(f))
		return flow_new(q, p, spare);
	return *found;
}

/*
 * Every class, used or not, has a spare flow in a group of its own for as long
 * as the qdisc lives: when packets come it may be too late to get one. They are
 * the first that the qdisc takes, and so its own of both pools.
 */
__verified_once int spare_new(struct vsfq_queue *q __arg_nonnull, __u32 class)
{
	struct vsfq_class_queue *c = class_of(q, class);
	struct group_key group = { q->id, class, VSFQ_NR_ISOLATES };
	struct flow_key key = { q->id, class };
	__u32 i = c ? flow_get(&q->flows) : 0;
	struct flow *f = flow_at(i);

	if (!c || !i)
		return -ENOMEM;
	flow_start(f, &key);
	f->spare = true;
	f->group = group_of(q, &group);
	if (!f->group) {
		flow_put(i, &q->flows);
		return -ENOMEM;
	}
	group_at(f->group)->members++;
	c->spare = i;
	return 0;
}

static __always_inline void spare_release(struct vsfq_queue *q,
					  struct vsfq_class_queue *c)
{
	if (!c->spare)
		return;
	group_release(q, flow_at(c->spare)->group);
	flow_put(c->spare, &q->flows);
	c->spare = 0;
}

/* The flow takes turns from now on. */
static __always_inline void turn_push(struct vsfq_class_queue *c, __u32 i)
{
	struct flow *f = flow_at(i);
	struct group *g = group_at(f->group);

	if (f->on_turn)
		return;
	f->on_turn = true;
	/* Who waits to be forgotten need not have that much credit to send. */
	if (g->on_turn && !g->flows.head)
		c->parked_until = 0;
	list_push(&g->flows, flow_at, next_turn, i);
	if (g->on_turn)
		return;
	g->on_turn = true;
	list_push(&c->groups, group_at, next_turn, f->group);
}

/* A flow that got a packet: does it go first? */
static __always_inline void flow_wake(struct vsfq_class_queue *c, __u32 i)
{
	struct flow *f = flow_at(i);

	if (f->on_fresh)
		return;
	if (f->packets > 1 || f->deficit <= 0) {
		turn_push(c, i);
		return;
	}
	f->on_fresh = true;
	list_push(&c->fresh, flow_at, next_fresh, i);
}

/*
 * Virtual time wraps: after 2^54 bytes of cost in a class of weight 1. Those of
 * classes with packets are never MAX_LEAD apart, as the dearest packet costs
 * less than 2^27: 64 overheads of 1 MiB each.
 */
static __always_inline bool before(__u64 a, __u64 b)
{
	return (__s64)(a - b) < 0;
}

/* A class that had none, or had to wait, has no claim to the time of then. */
static __always_inline void catch_up(struct vsfq_queue *q,
				     struct vsfq_class_queue *c)
{
	if (c->vtime - q->vtime > MAX_LEAD)
		c->vtime = q->vtime;
}

/* Put a packet at the end of its flow. */
__verified_once int slot_push(struct vsfq_queue *q __arg_nonnull,
			      struct vsfq_class_queue *c __arg_nonnull,
			      __u32 i, __u32 s)
{
	struct flow *f = flow_at(i);
	struct slot *slot = slot_at(s);

	list_push(&f->slots, slot_at, next, s);
	if (!c->packets || (!c->fresh.head && !c->groups.head))
		catch_up(q, c);
	f->packets++;
	f->bytes += slot->length;
	f->memory += slot->memory;
	group_at(f->group)->memory += slot->memory;
	c->packets++;
	c->bytes += slot->length;
	c->memory += slot->memory;
	if (slot->datagram) {
		c->datagrams++;
		fat_update(c, i);
	}
	flow_wake(c, i);
	return 0;
}

/* Take the first packet of a flow; it has one. */
__verified_once __u32 slot_pop(struct vsfq_class_queue *c __arg_nonnull,
			       __u32 i)
{
	struct flow *f = flow_at(i);
	__u32 s = f->slots.head;
	struct slot *slot = slot_at(s);

	list_pop(&f->slots, slot_at, next);
	f->packets--;
	f->bytes -= slot->length;
	f->memory -= slot->memory;
	group_at(f->group)->memory -= slot->memory;
	c->packets--;
	c->bytes -= slot->length;
	c->memory -= slot->memory;
	if (slot->datagram)
		c->datagrams--;
	if (f->level)
		fat_update(c, i);
	return s;
}

static __always_inline struct sk_buff *skb_take(__u32 s)
{
	struct skb_owner *owner = bpf_map_lookup_elem(&skbs, &s);

	return owner ? bpf_kptr_xchg(&owner->skb, NULL) : NULL;
}

/* The settings of a class, NULL without a policy. */
static __always_inline struct vsfq_class_settings *
settings_of(struct vsfq_policy *p, __u32 class)
{
	return p ? &p->class[class % VSFQ_MAX_CLASSES] : NULL;
}

/*
 * What it is called; without a policy there are but two, and one that is left
 * of another policy has no name.
 */
static __always_inline const char *class_name(__u32 class)
{
	struct vsfq_class_settings *s = settings_of(policy_in_force(), class);

	if (s)
		return s->name;
	if (class > VSFQ_NR_CLASSES)
		class = VSFQ_NR_CLASSES;
	return default_names[class];
}

/* One more of a flow is dropped. */
__verified_once int count_drop(struct vsfq_queue *q __arg_nonnull,
			       struct flow_key *flow __arg_nonnull,
			       __u32 reason)
{
	struct vsfq_class_queue *c = class_of(q, flow->class);
	struct vsfq_flow_key key = {
		.local_cid = flow->tuple.src_cid,
		.local_port = flow->tuple.src_port,
		.peer_cid = flow->tuple.dst_cid,
		.peer_port = flow->tuple.dst_port,
		.type = flow->tuple.type,
	};

	if (!c || reason >= VSFQ_NR_DROPS)
		return 0;
	c->drops[reason]++;
	event_dropped(q, &key, class_name(flow->class), reason,
		      c->drops[reason]);
	return 0;
}

/*
 * Only the spare flow can have grants before its datagrams, and those can change
 * places with others. False if there are many.
 */
__verified_once bool datagram_first(__u32 i)
{
	struct flow *f = flow_at(i);
	int n;

	bpf_for(n, 0, MAX_DROPS) {
		if (slot_at(f->slots.head)->datagram)
			return true;
		list_rotate(&f->slots, slot_at, next);
	}
	return false;
}

/* Drop the oldest datagram of a flow. Returns its slot, which is empty. */
static __always_inline __u32 slot_empty(struct Qdisc *sch,
					struct vsfq_queue *q,
					struct vsfq_class_queue *c,
					__u32 i, __u32 reason,
					struct bpf_sk_buff_ptr *to_free)
{
	struct sk_buff *skb;
	__u32 s;

	if (!i || !datagram_first(i))
		return 0;
	s = slot_pop(c, i);
	count_drop(q, &flow_at(i)->key, reason);
	sch->qstats.drops++;
	sch->q.qlen--;
	sch->qstats.backlog -= slot_at(s)->length;
	skb = skb_take(s);
	if (skb)
		bpf_qdisc_skb_drop(skb, to_free);
	return s;
}

static __always_inline bool drop_oldest(struct Qdisc *sch,
					struct vsfq_queue *q,
					struct vsfq_class_queue *c,
					__u32 i, __u32 reason,
					struct bpf_sk_buff_ptr *to_free)
{
	__u32 s = slot_empty(sch, q, c, i, reason, to_free);

	if (s)
		slot_put(s, &q->packets);
	return s;
}

/* The class with the most datagrams. */
__verified_once __u32 class_crowded(struct vsfq_queue *q __arg_nonnull)
{
	__u32 i, most = 0, best = VSFQ_CLASS_DGRAM;

	for (i = 0; i < VSFQ_MAX_CLASSES; i++) {
		if (q->class[i].datagrams <= most)
			continue;
		most = q->class[i].datagrams;
		best = i;
	}
	return best;
}

/* A free slot, if need be that of a datagram that is queued here. */
static __always_inline __u32 slot_make(struct Qdisc *sch, struct vsfq_queue *q,
				       struct bpf_sk_buff_ptr *to_free)
{
	struct vsfq_class_queue *c;
	__u32 s = slot_get(&q->packets);

	if (s)
		return s;
	c = class_of(q, class_crowded(q));
	return c ? slot_empty(sch, q, c, fattest(c), VSFQ_DROP_POOL,
			      to_free) : 0;
}

/* The caps of the device; looked for by its names once for each policy. */
static __always_inline struct vsfq_caps *device_caps(struct vsfq_queue *q,
						     struct vsfq_policy *p)
{
	if (!p || !p->devices)
		return NULL;
	if (q->generation != p->generation) {
		/* First, and in order: see vsfq_rename. */
		__sync_lock_test_and_set(&q->generation, p->generation);
		q->section = device_section(p, (void *)q->device,
					    (void *)q->port);
	}
	return q->section ? &p->device[(q->section - 1) %
				       VSFQ_MAX_SECTIONS].caps : NULL;
}

/* Why a class must drop a datagram, VSFQ_NR_DROPS if it need not. */
static __always_inline __u32 over_limit(struct vsfq_class_queue *c,
					__u32 limit, __u64 memory)
{
	if (c->datagrams > limit)
		return VSFQ_DROP_PACKETS;
	if (c->datagrams && c->memory > memory)
		return VSFQ_DROP_MEMORY;
	return VSFQ_NR_DROPS;
}

static __always_inline void enforce_limit(struct Qdisc *sch,
					  struct vsfq_queue *q,
					  struct vsfq_class_queue *c,
					  struct vsfq_class_settings *s,
					  struct bpf_sk_buff_ptr *to_free)
{
	__u32 limit = s ? s->limit : VSFQ_LIMIT_DATAGRAMS, reason;
	__u64 memory = s ? s->caps.memory : VSFQ_LIMIT_MEMORY;
	int i;

	bpf_for(i, 0, MAX_DROPS) {
		reason = over_limit(c, limit, memory);
		if (reason >= VSFQ_NR_DROPS ||
		    !drop_oldest(sch, q, c, fattest(c), reason, to_free))
			break;
	}
}

/*
 * A group over its limit pays with datagrams of its fattest flow; where others
 * have many that are fatter, of the one that exceeds it.
 */
static __always_inline void enforce_group(struct Qdisc *sch,
					  struct vsfq_queue *q,
					  struct vsfq_class_queue *c, __u32 i,
					  __u64 memory,
					  struct bpf_sk_buff_ptr *to_free)
{
	__u32 group = flow_at(i)->group, victim;
	int n;

	bpf_for(n, 0, MAX_DROPS) {
		if (group_at(group)->memory <= memory)
			break;
		victim = fattest_of(c, group) ?: i;
		if (!flow_at(victim)->packets ||
		    !drop_oldest(sch, q, c, victim, VSFQ_DROP_GROUP, to_free))
			break;
	}
}

__verified_once __u64 queued_memory(struct vsfq_queue *q __arg_nonnull)
{
	__u64 memory = 0;
	__u32 i;

	for (i = 0; i < VSFQ_MAX_CLASSES; i++)
		memory += q->class[i].memory;
	return memory;
}

/* A device over its limit pays with those of the most crowded class. */
static __always_inline void enforce_device(struct Qdisc *sch,
					   struct vsfq_queue *q, __u64 memory,
					   struct bpf_sk_buff_ptr *to_free)
{
	struct vsfq_class_queue *c;
	int i;

	bpf_for(i, 0, MAX_DROPS) {
		if (queued_memory(q) <= memory)
			break;
		c = class_of(q, class_crowded(q));
		if (!c || !drop_oldest(sch, q, c, fattest(c),
				       VSFQ_DROP_DEVICE, to_free))
			break;
	}
}

/* A datagram was queued: which must go? */
static __always_inline void enforce_limits(struct Qdisc *sch,
					   struct vsfq_queue *q,
					   struct vsfq_class_queue *c,
					   struct packet *packet, __u32 i,
					   struct bpf_sk_buff_ptr *to_free)
{
	struct vsfq_policy *p = policy_in_force();
	struct vsfq_class_settings *s = settings_of(p, packet->key.class);
	struct vsfq_caps *device = device_caps(q, p);

	/*
	 * The classifier may have asked the policy before this one, which named
	 * a class that is none now. It goes by the limits of no policy, not by
	 * those of an empty place, which are 0.
	 */
	if (s && !*s->name)
		s = NULL;
	enforce_limit(sch, q, c, s, to_free);
	if (s && s->group.memory)
		enforce_group(sch, q, c, i, s->group.memory, to_free);
	if (device && device->memory)
		enforce_device(sch, q, device->memory, to_free);
}

/* The class the classifier chose, or the default policy's. */
static __always_inline __u32 packet_class(struct sk_buff *skb, __u32 type)
{
	__u32 class = skb->tc_index & ~VSFQ_TC_MASK;

	if ((skb->tc_index & VSFQ_TC_MASK) == VSFQ_TC_MARK &&
	    class < VSFQ_MAX_CLASSES)
		return class;
	return vsock_class(type);
}

static __always_inline __u32 packet_count(struct sk_buff *skb)
{
	struct skb_shared_info *info;

	info = bpf_core_cast(skb->head + skb->end, struct skb_shared_info);
	return info->gso_segs ?: 1;
}

/* The group that a packet is in; what has no owner is in that of 0. */
static __always_inline void packet_group(struct sk_buff *skb,
					 struct packet *p)
{
	struct vsfq_class_settings *s = settings_of(policy_in_force(),
						    p->key.class);
	struct sock *sk = skb->sk;

	p->isolate = s ? s->isolate : VSFQ_BY_CGROUP;
	if (p->isolate == VSFQ_BY_CID)
		p->group = p->key.tuple.dst_cid;
	else if (p->isolate == VSFQ_BY_UID && sk)
		p->group = sk->sk_uid.val + 1ULL;
	else if (p->isolate == VSFQ_BY_CGROUP && sk)
		p->group = sk->sk_cgrp_data.cgroup->kn->id;
}

static __always_inline void packet_describe(struct sk_buff *skb,
					    struct vsfq_queue *q,
					    struct packet *p)
{
	struct vsock_tuple *tuple = &p->key.tuple;
	bool ours = false;
	__u32 op;

	p->length = ((struct qdisc_skb_cb *)skb->cb)->pkt_len;
	p->memory = skb->truesize;
	p->packets = packet_count(skb);
	p->cost = p->packets * overhead + skb->len;
	p->key.queue = q->id;
	if (skb->protocol == bpf_htons(ETH_P_VSOCK))
		ours = vsock_parse((struct __sk_buff *)skb, tuple, &op);
	if (!ours)
		tuple->src_port = skb->hash;
	p->datagram = vsock_class(tuple->type) == VSFQ_CLASS_DGRAM;
	p->key.class = packet_class(skb, tuple->type);
	if (ours)
		packet_group(skb, p);
}

static __always_inline void slot_fill(struct slot *slot, struct packet *p)
{
	slot->cost = p->cost;
	slot->memory = p->memory;
	slot->length = p->length;
	slot->packets = p->packets;
	slot->datagram = p->datagram;
	slot->queued_at = bpf_ktime_get_ns();
}

SEC("struct_ops")
int BPF_PROG(vsfq_enqueue, struct sk_buff *skb, struct Qdisc *sch,
	     struct bpf_sk_buff_ptr *to_free)
{
	struct vsfq_queue *q = queue_of(sch);
	struct vsfq_class_queue *c;
	struct skb_owner *owner;
	struct packet p = {};
	__u32 i, s, *found;

	if (!q)
		goto drop;
	packet_describe(skb, q, &p);
	c = class_of(q, p.key.class);
	if (!c)
		goto drop;
	found = bpf_map_lookup_elem(&flow_index, &p.key);
	s = slot_make(sch, q, to_free);
	owner = bpf_map_lookup_elem(&skbs, &s);
	if (!s || !owner) {
		count_drop(q, &p.key, VSFQ_DROP_POOL);
		goto drop;
	}
	/* After all that can fail: a flow on no list would never be forgotten. */
	i = flow_of(q, &p, found, c->spare);
	if (q->classes <= p.key.class)
		q->classes = p.key.class + 1;
	slot_fill(slot_at(s), &p);
	slot_push(q, c, i, s);
	sch->q.qlen++;
	sch->qstats.backlog += p.length;
	skb = bpf_kptr_xchg(&owner->skb, skb);
	if (skb)
		bpf_qdisc_skb_drop(skb, to_free);
	if (c->datagrams)
		enforce_limits(sch, q, c, &p, i, to_free);
	return NET_XMIT_SUCCESS;
drop:
	bpf_qdisc_skb_drop(skb, to_free);
	sch->qstats.drops++;
	return NET_XMIT_DROP;
}

/* How long it takes to earn so much. */
static __always_inline __u64 time_of(__u64 amount, __u64 rate)
{
	return (amount * NSEC_PER_SEC + rate - 1) / rate;
}

/* Whole units of credit; what is left of one counts the next time. */
static __always_inline void bucket_fill(struct vsfq_bucket *b, __u64 rate,
					__u64 burst, __u64 now)
{
	__u64 missing = 0, grown;

	if (b->credit < (__s64)burst)
		missing = burst - b->credit;
	/* Also after a pause so long that the product below would overflow. */
	if (now - b->credited_at >= time_of(missing, rate)) {
		b->credit = burst;
		b->credited_at = now;
		return;
	}
	grown = (now - b->credited_at) * rate / NSEC_PER_SEC;
	b->credit += grown;
	b->credited_at += time_of(grown, rate);
}

/* When there is so much credit, 0 if there is; all is 0: any, or all of it. */
static __always_inline __u64 bucket_at(struct vsfq_bucket *b, __u64 rate,
				       __u64 burst, __u64 now, bool all)
{
	__s64 want = all ? burst : 1;

	if (!rate)
		return 0;
	bucket_fill(b, rate, burst, now);
	return b->credit >= want ? 0 :
	       b->credited_at + time_of(want - b->credit, rate);
}

/* When there is credit, or as much as there can be; 0 if there is. */
__verified_once __u64 meter_at(struct vsfq_meter *m __arg_nonnull,
			       struct vsfq_caps *caps __arg_nonnull, bool all)
{
	__u64 now = bpf_ktime_get_ns(), bytes, packets;

	bytes = bucket_at(&m->bytes, caps->rate, caps->burst, now, all);
	packets = bucket_at(&m->packets, caps->packet_rate,
			    VSFQ_PACKET_BURST(caps->packet_rate), now, all);
	return bytes > packets ? bytes : packets;
}

/* Without a rate there is nothing that would ever pay a debt. */
static __always_inline void meter_charge(struct vsfq_meter *m,
					 struct vsfq_caps *caps,
					 struct slot *slot)
{
	if (caps->rate)
		m->bytes.credit -= slot->length;
	if (caps->packet_rate)
		m->packets.credit -= slot->packets;
}

static __always_inline void look_again(struct vsfq_queue *q, __u64 at)
{
	if (at < q->credit_at)
		q->credit_at = at;
}

/*
 * The group at the head of its list waits elsewhere until then; not for less than
 * PARK_NS, as all that wait are asked when the first one need no longer.
 */
static __always_inline void group_park(struct vsfq_queue *q,
				       struct vsfq_class_queue *c, __u64 at)
{
	__u64 soon = bpf_ktime_get_ns() + PARK_NS;
	__u32 i = c->groups.head;

	if (at < soon)
		at = soon;
	if (!c->parked.head || at < c->parked_until)
		c->parked_until = at;
	look_again(q, at);
	list_pop(&c->groups, group_at, next_turn);
	list_push(&c->parked, group_at, next_turn, i);
}

/* They come back to take turns, or to wait again. */
static __always_inline void groups_unpark(struct vsfq_queue *q,
					  struct vsfq_class_queue *c)
{
	if (!c->parked.head)
		return;
	if (c->groups.head) {
		group_at(c->groups.tail)->next_turn = c->parked.head;
	} else {
		c->groups.head = c->parked.head;
		if (!c->fresh.head)
			catch_up(q, c);
	}
	c->groups.tail = c->parked.tail;
	c->parked.head = 0;
}

static __always_inline void charge(struct flow *f, struct group *g,
				   struct vsfq_caps *caps, struct slot *slot)
{
	f->deficit -= slot->cost;
	g->deficit -= slot->cost;
	g->waits = false;
	if (caps)
		meter_charge(&g->meter, caps, slot);
}

/* The flow at the head of the fresh list sends, or goes to take turns. */
static __always_inline __u32 serve_fresh(struct vsfq_queue *q,
					 struct vsfq_class_queue *c,
					 struct vsfq_caps *caps, bool drain)
{
	__u32 i = c->fresh.head;
	struct flow *f = flow_at(i);
	struct group *g = group_at(f->group);
	struct slot *slot = slot_at(f->slots.head);

	if (f->packets && !drain && slot->cost <= f->deficit &&
	    g->deficit > -borrow &&
	    (!caps || !meter_at(&g->meter, caps, false))) {
		charge(f, g, caps, slot);
		return i;
	}
	list_pop(&c->fresh, flow_at, next_fresh);
	f->on_fresh = false;
	turn_push(c, i);
	if (!c->parked_until)
		groups_unpark(q, c);
	return 0;
}

/* One step of the round of a group: a packet, or a flow leaves or rotates. */
static __always_inline __u32 serve_flow(struct vsfq_queue *q,
					struct vsfq_class_queue *c,
					struct group *g,
					struct vsfq_caps *caps, bool drain)
{
	__u32 i = g->flows.head;
	struct flow *f = flow_at(i);

	/* Also with nothing queued: nobody gets rid of a debt by a pause. */
	if (f->deficit <= 0 && !drain) {
		f->deficit += quantum;
		list_rotate(&g->flows, flow_at, next_turn);
		return 0;
	}
	if (!f->packets) {
		list_pop(&g->flows, flow_at, next_turn);
		f->on_turn = false;
		flow_release(q, i);
		return 0;
	}
	charge(f, g, caps, slot_at(f->slots.head));
	return i;
}

/* It is asked again whenever another one of its class has credit. */
static __always_inline void group_wait(struct vsfq_class_queue *c,
				       struct group *g)
{
	c->groups_throttled += !g->waits;
	g->waits = true;
}

/*
 * When a group may go on, 0 if now: one that sends needs credit, one that would
 * be forgotten all of it, since nobody gets rid of a debt by a pause.
 */
static __always_inline __u64 group_at_credit(struct vsfq_class_queue *c,
					     struct group *g,
					     struct vsfq_caps *caps)
{
	bool sends = flow_at(g->flows.head)->packets;
	__u64 at;

	if (g->flows.head && !sends)
		return 0;
	at = meter_at(&g->meter, caps, !g->flows.head);
	if (at && sends)
		group_wait(c, g);
	return at;
}

/* One step of the round of a class. */
static __always_inline __u32 serve_group(struct vsfq_queue *q,
					 struct vsfq_class_queue *c,
					 struct vsfq_caps *caps, bool drain)
{
	__u32 i = c->groups.head;
	struct group *g = group_at(i);
	__u64 at = caps ? group_at_credit(c, g, caps) : 0;

	if (at) {
		group_park(q, c, at);
		return 0;
	}
	if (g->deficit <= 0 && !drain) {
		g->deficit += quantum;
		list_rotate(&c->groups, group_at, next_turn);
		return 0;
	}
	if (g->flows.head)
		return serve_flow(q, c, g, caps, drain);
	list_pop(&c->groups, group_at, next_turn);
	g->on_turn = false;
	if (!g->members)
		group_release(q, i);
	return 0;
}

/*
 * The flow whose first packet is to be sent, or 0 after a step that leads to
 * one. "caps" are those of each group, NULL if they have none.
 */
__verified_once __u32 serve(struct vsfq_queue *q __arg_nonnull,
			    struct vsfq_class_queue *c __arg_nonnull,
			    struct vsfq_caps *caps, bool drain)
{
	if (c->fresh.head)
		return serve_fresh(q, c, caps, drain);
	if (c->groups.head)
		return serve_group(q, c, caps, drain);
	return 0;
}

/* Does the class have to wait? */
static __always_inline void enforce_class(struct vsfq_queue *q, __u32 class,
					  struct vsfq_class_queue *c,
					  struct vsfq_class_settings *s)
{
	bool waited = q->waiting >> class & 1;
	__u64 at = 0;

	if (s && c->packets)
		at = meter_at(&c->meter, &s->caps, false);
	if (at) {
		q->waiting |= 1U << class;
		c->throttled += !waited;
		look_again(q, at);
		return;
	}
	q->waiting &= ~(1U << class);
	if (waited)
		catch_up(q, c);
}

static __always_inline void enforce_groups(struct vsfq_queue *q,
					   struct vsfq_class_queue *c,
					   bool same, __u64 now)
{
	if (!same || c->parked_until <= now)
		groups_unpark(q, c);
	else if (c->parked.head)
		look_again(q, c->parked_until);
}

/*
 * Who waits for credit, and until when. At most so long, since another policy
 * may change it; when there are rates no more, for the last time. Groups were
 * parked for as long as the rate of then said: with another policy they all
 * come back, and are asked again.
 */
__verified_once int enforce_rates(struct vsfq_queue *q __arg_nonnull,
				  struct vsfq_policy *p)
{
	bool rates = p && p->rates, blocked = q->blocked;
	bool same = rates && p->generation == q->enforced;
	__u64 at = 0, now = bpf_ktime_get_ns();
	struct vsfq_caps *device = device_caps(q, p);
	__u32 i;

	q->capped = rates;
	q->credit_at = now + RECHECK_NS;
	if (device)
		at = meter_at(&q->meter, device, false);
	q->blocked = !!at;
	if (at) {
		q->throttled += !blocked;
		look_again(q, at);
		return 0;
	}
	for (i = 0; i < VSFQ_MAX_CLASSES && i < q->classes; i++) {
		enforce_class(q, i, &q->class[i], settings_of(p, i));
		enforce_groups(q, &q->class[i], same, now);
	}
	q->enforced = p ? p->generation : 0;
	return 0;
}

/* Something on its lists, and credit to send it. */
static __always_inline bool class_ready(struct vsfq_queue *q, __u32 class)
{
	struct vsfq_class_queue *c = &q->class[class];

	return !(q->waiting >> class & 1) && (c->fresh.head || c->groups.head);
}

/*
 * The class with packets that is most behind, VSFQ_MAX_CLASSES if there is
 * none. On request only of those with fresh flows and not beyond "until".
 */
static __always_inline __u32 class_behind(struct vsfq_queue *q, bool fresh,
					  __u64 until)
{
	__u32 i, best = VSFQ_MAX_CLASSES;
	__u64 least = until;
	bool any = !fresh;

	for (i = 0; i < VSFQ_MAX_CLASSES && i < q->classes; i++) {
		struct vsfq_class_queue *c = &q->class[i];

		if (!c->packets || (fresh && !c->fresh.head) ||
		    !class_ready(q, i))
			continue;
		if (!any && before(least, c->vtime))
			continue;
		any = false;
		least = c->vtime;
		best = i;
	}
	return best;
}

/* The class with packets that goes before others, or VSFQ_MAX_CLASSES. */
static __always_inline __u32 class_prior(struct vsfq_queue *q,
					 struct vsfq_policy *p)
{
	__u32 i, best = VSFQ_MAX_CLASSES, least = VSFQ_MAX_PRIORITY;

	for (i = 0; i < VSFQ_MAX_CLASSES && i < q->classes; i++) {
		__u32 priority = p->class[i].priority;

		if (!priority || !q->class[i].packets || !class_ready(q, i) ||
		    priority > least)
			continue;
		least = priority - 1;
		best = i;
	}
	return best;
}

/* Any class that is ready, VSFQ_MAX_CLASSES if there is none. */
static __always_inline __u32 class_linked(struct vsfq_queue *q)
{
	__u32 i;

	for (i = 0; i < VSFQ_MAX_CLASSES && i < q->classes; i++)
		if (class_ready(q, i))
			return i;
	return VSFQ_MAX_CLASSES;
}

__verified_once __u32 class_next(struct vsfq_queue *q __arg_nonnull,
				 struct vsfq_policy *p)
{
	struct vsfq_class_queue *c;
	__u32 first, i;

	if (q->blocked)
		return VSFQ_MAX_CLASSES;
	i = p && p->priorities ? class_prior(q, p) : VSFQ_MAX_CLASSES;
	c = class_of(q, i);
	if (c) {
		/* Has no claim to time, should it lose its priority. */
		c->vtime = q->vtime;
		return i;
	}
	i = class_behind(q, false, 0);
	c = class_of(q, i);
	/* Idle: forget the flows, unless they are few and may come back. */
	if (!c)
		return q->flows > KEEP_FLOWS ? class_linked(q) :
					       VSFQ_MAX_CLASSES;
	q->vtime = c->vtime;
	first = class_behind(q, true, c->vtime + (borrow << VTIME_SHIFT));
	return first < VSFQ_MAX_CLASSES ? first : i;
}

/* What each group of a class may have; NULL if there is no such cap. */
static __always_inline struct vsfq_caps *group_caps(struct vsfq_policy *p,
						    __u32 class)
{
	struct vsfq_class_settings *s = settings_of(p, class);

	return s && (s->group.rate || s->group.packet_rate) ? &s->group : NULL;
}

static __always_inline void charge_caps(struct vsfq_queue *q,
					struct vsfq_class_queue *c,
					struct vsfq_policy *p,
					struct vsfq_class_settings *s,
					struct slot *slot)
{
	struct vsfq_caps *device = device_caps(q, p);

	meter_charge(&c->meter, &s->caps, slot);
	if (device)
		meter_charge(&q->meter, device, slot);
}

static __always_inline void count_sent(struct vsfq_queue *q,
				       struct vsfq_class_queue *c, __u32 class,
				       struct vsfq_policy *p, struct flow *f,
				       struct slot *slot)
{
	__u64 usecs = (bpf_ktime_get_ns() - slot->queued_at) / 1000;
	__u32 bucket = log2_above(usecs) % VSFQ_NR_BUCKETS;
	struct vsfq_class_settings *s = settings_of(p, class);
	__u64 vtime = (__u64)slot->cost << VTIME_SHIFT;

	c->sent.packets++;
	c->sent.bytes += slot->length;
	c->sent.cost += slot->cost;
	/* A class that another policy removed has no weight. */
	c->vtime += s ? vtime / (s->weight ?: 1) : vtime;
	if (s && p->rates)
		charge_caps(q, c, p, s, slot);
	c->sojourn[bucket]++;
	c->sojourn_sum += usecs;
	f->sojourn.buckets[bucket]++;
	f->sent = true;
}

/* Nothing can be sent: be called again when there is credit. */
static __always_inline void wait_for_credit(struct Qdisc *sch,
					    struct vsfq_queue *q)
{
	if (q->capped && sch->q.qlen)
		bpf_qdisc_watchdog_schedule(sch, q->credit_at, 0);
}

SEC("struct_ops")
struct sk_buff *BPF_PROG(vsfq_dequeue, struct Qdisc *sch)
{
	struct vsfq_queue *q = queue_of(sch);
	struct vsfq_policy *p = policy_in_force();
	struct vsfq_class_queue *c;
	struct sk_buff *skb;
	__u32 class, flow, s;
	int i;

	if (!q)
		return NULL;
	if (q->capped || (p && p->rates))
		enforce_rates(q, p);
	bpf_for(i, 0, MAX_STEPS) {
		class = class_next(q, p);
		c = class_of(q, class);
		if (!c) {
			wait_for_credit(sch, q);
			return NULL;
		}
		flow = serve(q, c, group_caps(p, class), false);
		if (!flow)
			continue;
		s = slot_pop(c, flow);
		count_sent(q, c, class, p, flow_at(flow), slot_at(s));
		sch->q.qlen--;
		sch->qstats.backlog -= slot_at(s)->length;
		skb = skb_take(s);
		slot_put(s, &q->packets);
		if (skb)
			bpf_qdisc_bstats_update(sch, skb);
		return skb;
	}
	/* Packets of absurd cost: go on in the next round, do not stall. */
	bpf_qdisc_watchdog_schedule(sch, bpf_ktime_get_ns() + RETRY_NS, 0);
	return NULL;
}

/* Free everything that is queued and forget every flow. */
SEC("struct_ops")
void BPF_PROG(vsfq_reset, struct Qdisc *sch)
{
	struct vsfq_queue *q = queue_of(sch);
	struct vsfq_class_queue *c;
	struct sk_buff *skb;
	__u32 flow, s;
	int i;

	sch->q.qlen = 0;
	sch->qstats.backlog = 0;
	if (!q)
		return;
	q->waiting = 0;
	q->blocked = 0;
	for (i = 0; i < VSFQ_MAX_CLASSES; i++)
		groups_unpark(q, &q->class[i]);
	bpf_for(i, 0, MAX_STEPS_RESET) {
		c = class_of(q, class_linked(q));
		if (!c)
			break;
		flow = serve(q, c, NULL, true);
		if (!flow)
			continue;
		s = slot_pop(c, flow);
		c->drops[VSFQ_DROP_RESET]++;
		skb = skb_take(s);
		slot_put(s, &q->packets);
		if (skb)
			bpf_kfree_skb(skb);
	}
}

/* All that "from" has counted, to what "to" has. */
__verified_once int class_add(struct vsfq_class_queue *to __arg_nonnull,
			      struct vsfq_class_queue *from __arg_nonnull)
{
	__u32 i;

	to->sent.packets += from->sent.packets;
	to->sent.bytes += from->sent.bytes;
	to->sent.cost += from->sent.cost;
	for (i = 0; i < VSFQ_NR_DROPS; i++)
		to->drops[i] += from->drops[i];
	for (i = 0; i < VSFQ_NR_BUCKETS; i++)
		to->sojourn[i] += from->sojourn[i];
	to->sojourn_sum += from->sojourn_sum;
	to->throttled += from->throttled;
	to->groups_throttled += from->groups_throttled;
	return 0;
}

/*
 * A root that takes the place of another vsfq goes on counting where that one
 * ended, so that no counter goes back when another version takes over. It has
 * that place before the old one is destroyed, all of which tc does in one step
 * for who reads them: so what the old one had queued, and dropped, counts too.
 */
static __always_inline void queue_bequeath(struct Qdisc *sch,
					   struct vsfq_queue *q)
{
	struct Qdisc *root = sch->dev_queue->qdisc_sleeping;
	struct vsfq_queue_key key;
	struct vsfq_queue *heir;
	__u32 i;

	if (!root || sch->parent != TC_H_ROOT || root->parent != TC_H_ROOT)
		return;
	key = queue_key(root);
	heir = bpf_map_lookup_elem(&queues, &key);
	if (!heir || heir == q)
		return;
	heir->throttled += q->throttled;
	for (i = 0; i < VSFQ_MAX_CLASSES; i++)
		class_add(&heir->class[i], &q->class[i]);
}

/* Up to its end: what follows is left from a longer name it once had. */
static __always_inline void queue_name(struct vsfq_queue *q,
				       struct net_device *dev)
{
	__u32 i;

	for (i = 0; i < VSFQ_NAME_SIZE && dev->name[i]; i++)
		q->device[i] = dev->name[i];
}

/* A number that no other object has, nor 0. */
static __always_inline __u32 own_instance(void)
{
	if (!instance)
		__sync_val_compare_and_swap(&instance, 0,
					    bpf_ktime_get_ns() >> 10 | 1);
	return instance;
}

SEC("struct_ops")
int BPF_PROG(vsfq_init, struct Qdisc *sch, struct nlattr *opt,
	     struct netlink_ext_ack *extack)
{
	struct vsfq_queue_key key = queue_key(sch);
	struct vsfq_queue *q;
	long err;
	__u32 i;

	err = bpf_map_update_elem(&queues, &key, (void *)&new_queue, BPF_ANY);
	if (err)
		return err == -E2BIG ? -ENOSPC : -ENOMEM;
	q = bpf_map_lookup_elem(&queues, &key);
	if (!q)
		return -ENOMEM;
	q->id = __sync_fetch_and_add(&last_queue_id, 1) + 1;
	q->instance = own_instance();
	q->build = build;
	q->overhead = overhead;
	queue_name(q, sch->dev_queue->dev);
	q->vtime = START_VTIME;
	for (i = 0; i < VSFQ_MAX_CLASSES; i++) {
		q->class[i].vtime = START_VTIME;
		if (spare_new(q, i))
			return -ENOMEM;
	}
	return 0;
}

/* Follows a reset, and an init that failed half way. */
SEC("struct_ops")
void BPF_PROG(vsfq_destroy, struct Qdisc *sch)
{
	struct vsfq_queue_key key = queue_key(sch);
	struct vsfq_queue *q = bpf_map_lookup_elem(&queues, &key);
	__u32 i;

	if (!q)
		return;
	queue_bequeath(sch, q);
	for (i = 0; i < VSFQ_MAX_CLASSES; i++)
		spare_release(q, &q->class[i]);
	bpf_map_delete_elem(&queues, &key);
}

/*
 * The loader says what a device is called when it looks, which need not be what
 * it is called when there is a packet, and what its port is, which only the
 * driver could tell. Who looks for the section of the policy meanwhile finds
 * the new names, or has to look again.
 */
SEC("syscall")
int vsfq_rename(struct vsfq_rename *to)
{
	struct vsfq_queue_key key = to->key;
	struct vsfq_queue *q = bpf_map_lookup_elem(&queues, &key);

	/* The map is that of all versions. */
	if (!q || q->build != build)
		return 0;
	__builtin_memcpy(q->device, to->name, sizeof(q->device));
	__builtin_memcpy(q->port, to->port, sizeof(q->port));
	__sync_lock_test_and_set(&q->generation, 0);
	return 0;
}

SEC(".struct_ops.link")
struct Qdisc_ops vsfq = {
	.enqueue = (void *)vsfq_enqueue,
	.dequeue = (void *)vsfq_dequeue,
	.reset = (void *)vsfq_reset,
	.init = (void *)vsfq_init,
	.destroy = (void *)vsfq_destroy,
	.id = "vsfq",
};
