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
 *	group	the cgroup that owns the socket; equal shares in a class, so
 *		that opening many sockets gains nothing
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
 * CAPS. A class may have a rate (policy.h): a token bucket in each qdisc, in
 * bytes of length, as tc counts them. A class sends while it has credit; its
 * last packet may be longer than that, and the debt is paid before the next
 * one. Without credit a class is passed over: its packets wait, the others have
 * the device. When only such classes have packets the watchdog asks again once
 * the first of them has credit. Waiting earns no claim to time: a class comes
 * back as one that was idle does.
 *
 * DROPS. What is queued of a stream is not data but a request to send
 * ("grant"): dropping one would lose nothing and stall the connection, so none
 * is dropped, except when all VSFQ_MAX_PACKETS of the machine are queued and
 * not one is a datagram. Datagrams are limited per class in number and in
 * memory; over the limit the oldest datagram of the fattest flow goes. Fattest
 * is judged by the power of two of the memory a flow holds, so the choice is
 * within a factor of two of the truth and takes the same time for one flow as
 * for ten thousand.
 *
 * LIMITS. No allocation: packets, flows and groups come from fixed pools (see
 * vsfq.h for their sizes, pool.bpf.h for how). A flow or group that finds its
 * pool empty shares a spare one of its class. A socket without an owner (a
 * reset for a connection that does not exist) is in the group of cgroup 0, and
 * so is everything orphaned before it came here. Strict priorities are not
 * implemented. Only a cap delays anything: if a packet is queued in a class
 * without one, it is sent as soon as the device asks.
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
#include "policy.bpf.h"
#include "pool.bpf.h"
#include <bpf/bpf_tracing.h>

char _license[] SEC("license") = "GPL";

#define NET_XMIT_SUCCESS	0
#define NET_XMIT_DROP		1

#define ENOMEM			12
#define TC_H_ROOT		0xffffffff

#define MAX_STEPS		(1 << 20)
#define MAX_STEPS_RESET		(1 << 18)
#define MAX_DROPS		64	/* to make room for one datagram */
#define KEEP_FLOWS		64	/* an idle qdisc remembers */
#define VTIME_SHIFT		10
#define RETRY_NS		1000000
#define NSEC_PER_SEC		1000000000ULL
/* Another policy may lift a cap while all is quiet: look again so often. */
#define RECHECK_NS		(NSEC_PER_SEC / 10)

/* The time of one packet, in bytes: docs/fairness.md says how to measure it. */
const volatile __u32 overhead = VSFQ_OVERHEAD;
const volatile __u64 build;	/* tells the loader one version from another */

/* Three small packets go first in a round, or one that is not so small. */
#define quantum			((__s64)4 * overhead)
#define borrow			(4 * quantum)

struct flow_key {
	__u32 queue;
	__u32 class;
	struct vsock_tuple tuple;
};

struct group_key {
	__u32 queue;
	__u32 class;
	__u64 cgroup;
};

/* A queued packet; the packet itself is in the map "skbs". */
struct slot {
	__u64 queued_at;
	__u32 cost;
	__u32 memory;
	__u32 length;
	__u32 next;
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
	__u32 packets;
	struct vsfq_list slots;
	__u32 next_turn;
	__u32 next_fresh;
	__u32 fatter;			/* neighbours on the fat list */
	__u32 thinner;
	bool on_turn;
	bool on_fresh;
	bool spare;
	__u8 level;			/* 0: on none of the fat lists */
};

struct group {
	struct group_key key;
	__s64 deficit;
	struct vsfq_list flows;
	__u32 next_turn;
	__u32 members;			/* flows, on a list or not */
	bool on_turn;
};

__pool(struct slot, slot, VSFQ_MAX_PACKETS)
__pool(struct flow, flow, VSFQ_MAX_FLOWS)
__pool(struct group, group, VSFQ_MAX_GROUPS)

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

static const struct vsfq_queue new_queue;
static __u32 last_queue_id;

/* What enqueue needs to know of a packet. */
struct packet {
	struct flow_key key;
	__u64 cgroup;
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

static __always_inline __u32 fattest(struct vsfq_class_queue *c)
{
	if (!c->levels)
		return 0;
	return c->fat[(log2_above(c->levels) - 1) % VSFQ_NR_LEVELS];
}

/* Groups and flows come and go. */
static __always_inline void group_start(struct group *g, struct group_key *key)
{
	g->key = *key;
	g->deficit = quantum;
	g->flows.head = 0;
	g->members = 0;
	g->on_turn = false;
}

__verified_once __u32 group_of(__u32 queue, __u32 class, __u64 cgroup)
{
	struct group_key key = { queue, class, cgroup };
	__u32 i, *found;

	found = bpf_map_lookup_elem(&group_index, &key);
	if (found)
		return *found;
	i = group_get();
	if (!i)
		return 0;
	group_start(group_at(i), &key);
	if (!bpf_map_update_elem(&group_index, &key, &i, BPF_NOEXIST))
		return i;
	group_put(i);
	return 0;
}

static __always_inline void group_release(__u32 i)
{
	struct group_key key = group_at(i)->key;

	bpf_map_delete_elem(&group_index, &key);
	group_put(i);
}

static __always_inline void flow_start(struct flow *f, struct flow_key *key)
{
	f->key = *key;
	f->deficit = quantum;
	f->memory = 0;
	f->packets = 0;
	f->slots.head = 0;
	f->on_turn = false;
	f->on_fresh = false;
	f->spare = false;
	f->level = 0;
}

/* A new flow; the spare one of its class, if there is no room for it. */
__verified_once __u32 flow_new(struct vsfq_queue *q __arg_nonnull,
			       struct flow_key *key __arg_nonnull,
			       __u64 cgroup, __u32 spare)
{
	__u32 i = flow_get();
	struct flow *f = flow_at(i);

	if (!i)
		return spare;
	if (bpf_map_update_elem(&flow_index, key, &i, BPF_NOEXIST)) {
		flow_put(i);
		return spare;
	}
	flow_start(f, key);
	f->group = group_of(key->queue, key->class, cgroup) ?:
		   flow_at(spare)->group;
	group_at(f->group)->members++;
	q->flows++;
	return i;
}

static __always_inline void flow_release(struct vsfq_queue *q, __u32 i)
{
	struct flow *f = flow_at(i);
	struct flow_key key = f->key;

	if (f->spare)
		return;
	bpf_map_delete_elem(&flow_index, &key);
	group_at(f->group)->members--;
	q->flows--;
	flow_put(i);
}

/* Every class has a spare flow in a group of its own for as long as it lives */
__verified_once int spare_new(struct vsfq_queue *q __arg_nonnull, __u32 class)
{
	struct vsfq_class_queue *c = class_of(q, class);
	struct flow_key key = { q->id, class };
	__u32 i = flow_get();
	struct flow *f = flow_at(i);

	if (!c || !i)
		return -ENOMEM;
	flow_start(f, &key);
	f->spare = true;
	f->group = group_of(q->id, class, ~0ULL);
	c->spare = i;
	if (!f->group)
		return -ENOMEM;
	group_at(f->group)->members++;
	return 0;
}

/* The first packet of a class. */
static __always_inline int class_start(struct vsfq_queue *q, __u32 class)
{
	if (q->classes <= class)
		q->classes = class + 1;
	return spare_new(q, class);
}

static __always_inline void spare_release(struct vsfq_class_queue *c)
{
	if (!c->spare)
		return;
	if (flow_at(c->spare)->group)
		group_release(flow_at(c->spare)->group);
	flow_put(c->spare);
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

/* Put a packet at the end of its flow. */
__verified_once int slot_push(struct vsfq_queue *q __arg_nonnull,
			      struct vsfq_class_queue *c __arg_nonnull,
			      __u32 i, __u32 s)
{
	struct flow *f = flow_at(i);
	struct slot *slot = slot_at(s);

	list_push(&f->slots, slot_at, next, s);
	if (!c->packets && c->vtime < q->vtime)
		c->vtime = q->vtime;
	f->packets++;
	f->memory += slot->memory;
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
	f->memory -= slot->memory;
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

/* Drop the oldest datagram of the fattest flow of a class. */
static __always_inline bool drop_fattest(struct Qdisc *sch,
					 struct vsfq_class_queue *c,
					 __u32 reason,
					 struct bpf_sk_buff_ptr *to_free)
{
	__u32 s, i = fattest(c);
	struct sk_buff *skb;

	/* Only the spare flow can have grants among its datagrams. */
	if (!i || !slot_at(flow_at(i)->slots.head)->datagram)
		return false;
	s = slot_pop(c, i);
	c->drops[reason]++;
	sch->qstats.drops++;
	sch->q.qlen--;
	sch->qstats.backlog -= slot_at(s)->length;
	skb = skb_take(s);
	if (skb)
		bpf_qdisc_skb_drop(skb, to_free);
	slot_put(s);
	return true;
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

/* A free slot, if need be that of a datagram. */
static __always_inline __u32 slot_make(struct Qdisc *sch, struct vsfq_queue *q,
				       struct bpf_sk_buff_ptr *to_free)
{
	struct vsfq_class_queue *c;
	__u32 s = slot_get();

	if (s)
		return s;
	c = class_of(q, class_crowded(q));
	if (!c || !drop_fattest(sch, c, VSFQ_DROP_POOL, to_free))
		return 0;
	return slot_get();
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
					  struct vsfq_class_queue *c,
					  __u32 class,
					  struct bpf_sk_buff_ptr *to_free)
{
	struct vsfq_policy *p = policy_in_force();
	__u32 limit = VSFQ_LIMIT_DATAGRAMS, reason;
	__u64 memory = VSFQ_LIMIT_MEMORY;
	int i;

	if (p) {
		limit = p->class[class % VSFQ_MAX_CLASSES].limit;
		memory = p->class[class % VSFQ_MAX_CLASSES].memory;
	}
	bpf_for(i, 0, MAX_DROPS) {
		reason = over_limit(c, limit, memory);
		if (reason >= VSFQ_NR_DROPS ||
		    !drop_fattest(sch, c, reason, to_free))
			break;
	}
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

static __always_inline __u32 packet_cost(struct sk_buff *skb)
{
	struct skb_shared_info *info;
	__u32 segs;

	info = bpf_core_cast(skb->head + skb->end, struct skb_shared_info);
	segs = info->gso_segs ?: 1;
	return segs * overhead + skb->len;
}

static __always_inline void packet_describe(struct sk_buff *skb,
					    struct vsfq_queue *q,
					    struct packet *p)
{
	struct vsock_tuple *tuple = &p->key.tuple;
	struct sock *sk = skb->sk;
	__u32 op;

	p->length = ((struct qdisc_skb_cb *)skb->cb)->pkt_len;
	p->memory = skb->truesize;
	p->cost = packet_cost(skb);
	p->key.queue = q->id;
	if (skb->protocol == bpf_htons(ETH_P_VSOCK) &&
	    vsock_parse((struct __sk_buff *)skb, tuple, &op)) {
		if (sk)
			p->cgroup = sk->sk_cgrp_data.cgroup->kn->id;
	} else {
		tuple->src_port = skb->hash;
	}
	p->datagram = vsock_class(tuple->type) == VSFQ_CLASS_DGRAM;
	p->key.class = packet_class(skb, tuple->type);
}

static __always_inline void slot_fill(struct slot *slot, struct packet *p)
{
	slot->cost = p->cost;
	slot->memory = p->memory;
	slot->length = p->length;
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
	if (!found && !c->spare && class_start(q, p.key.class))
		goto drop;
	i = found ? *found : flow_new(q, &p.key, p.cgroup, c->spare);
	s = slot_make(sch, q, to_free);
	owner = bpf_map_lookup_elem(&skbs, &s);
	if (!s || !owner) {
		c->drops[VSFQ_DROP_POOL]++;
		goto drop;
	}
	slot_fill(slot_at(s), &p);
	slot_push(q, c, i, s);
	sch->q.qlen++;
	sch->qstats.backlog += p.length;
	skb = bpf_kptr_xchg(&owner->skb, skb);
	if (skb)
		bpf_qdisc_skb_drop(skb, to_free);
	if (c->datagrams)
		enforce_limit(sch, c, p.key.class, to_free);
	return NET_XMIT_SUCCESS;
drop:
	bpf_qdisc_skb_drop(skb, to_free);
	sch->qstats.drops++;
	return NET_XMIT_DROP;
}

/* The flow at the head of the fresh list sends, or goes to take turns. */
static __always_inline __u32 serve_fresh(struct vsfq_class_queue *c,
					 bool drain)
{
	__u32 i = c->fresh.head;
	struct flow *f = flow_at(i);
	struct group *g = group_at(f->group);
	__u32 cost = slot_at(f->slots.head)->cost;

	if (f->packets && !drain && cost <= f->deficit &&
	    g->deficit > -borrow) {
		f->deficit -= cost;
		g->deficit -= cost;
		return slot_pop(c, i);
	}
	list_pop(&c->fresh, flow_at, next_fresh);
	f->on_fresh = false;
	turn_push(c, i);
	return 0;
}

/* One step of the round of a group: a packet, or a flow leaves or rotates. */
static __always_inline __u32 serve_flow(struct vsfq_queue *q,
					struct vsfq_class_queue *c,
					struct group *g, bool drain)
{
	__u32 i = g->flows.head;
	struct flow *f = flow_at(i);
	__u32 cost = slot_at(f->slots.head)->cost;

	if (!f->packets) {
		list_pop(&g->flows, flow_at, next_turn);
		f->on_turn = false;
		flow_release(q, i);
		return 0;
	}
	if (f->deficit <= 0 && !drain) {
		f->deficit += quantum;
		list_rotate(&g->flows, flow_at, next_turn);
		return 0;
	}
	f->deficit -= cost;
	g->deficit -= cost;
	return slot_pop(c, i);
}

/* One step of the round of a class. */
static __always_inline __u32 serve_group(struct vsfq_queue *q,
					 struct vsfq_class_queue *c,
					 bool drain)
{
	__u32 i = c->groups.head;
	struct group *g = group_at(i);

	if (g->deficit <= 0 && !drain) {
		g->deficit += quantum;
		list_rotate(&c->groups, group_at, next_turn);
		return 0;
	}
	if (g->flows.head)
		return serve_flow(q, c, g, drain);
	list_pop(&c->groups, group_at, next_turn);
	g->on_turn = false;
	if (!g->members)
		group_release(i);
	return 0;
}

/* A packet to send, or 0 after a step that leads to one. */
__verified_once __u32 serve(struct vsfq_queue *q __arg_nonnull,
			    struct vsfq_class_queue *c __arg_nonnull,
			    bool drain)
{
	if (c->fresh.head)
		return serve_fresh(c, drain);
	if (c->groups.head)
		return serve_group(q, c, drain);
	return 0;
}

static __always_inline void credit_grow(struct vsfq_class_queue *c,
					struct vsfq_class_settings *cap)
{
	__u64 now = bpf_ktime_get_ns(), missing = 0, grown;

	if (c->credit < (__s64)cap->burst)
		missing = cap->burst - c->credit;
	/* Also after a pause so long that the product below would overflow. */
	if (now - c->credited_at >= missing * NSEC_PER_SEC / cap->rate) {
		c->credit = cap->burst;
		c->credited_at = now;
		return;
	}
	grown = (now - c->credited_at) * cap->rate / NSEC_PER_SEC;
	c->credit += grown;
	/* What is left of a byte counts the next time. */
	c->credited_at += (grown * NSEC_PER_SEC + cap->rate - 1) / cap->rate;
}

/* When a class without credit will have some. */
static __always_inline __u64 credit_at(struct vsfq_class_queue *c,
				       struct vsfq_class_settings *cap)
{
	__u64 missing = 1 - c->credit;

	return c->credited_at +
	       (missing * NSEC_PER_SEC + cap->rate - 1) / cap->rate;
}

/* Does the class have to wait? Notes when that ends. */
static __always_inline bool class_waits(struct vsfq_queue *q,
					struct vsfq_class_queue *c,
					struct vsfq_class_settings *cap)
{
	__u64 at;

	if (!cap || !cap->rate || !c->packets)
		return false;
	credit_grow(c, cap);
	if (c->credit > 0)
		return false;
	at = credit_at(c, cap);
	if (at < q->credit_at)
		q->credit_at = at;
	return true;
}

/* Find the classes that wait for credit. */
__verified_once int enforce_rates(struct vsfq_queue *q __arg_nonnull)
{
	struct vsfq_policy *p = policy_in_force();
	__u32 i, before = q->waiting;

	q->waiting = 0;
	q->credit_at = ~0ULL;
	for (i = 0; i < VSFQ_MAX_CLASSES && i < q->classes; i++) {
		struct vsfq_class_queue *c = &q->class[i];
		bool waited = before >> i & 1;

		if (class_waits(q, c, p ? &p->class[i] : NULL)) {
			q->waiting |= 1U << i;
			c->throttled += !waited;
		} else if (waited && c->vtime < q->vtime) {
			c->vtime = q->vtime;
		}
	}
	return 0;
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

	for (i = 0; i < VSFQ_MAX_CLASSES && i < q->classes; i++) {
		struct vsfq_class_queue *c = &q->class[i];

		if (!c->packets || (fresh && !c->fresh.head) ||
		    q->waiting >> i & 1)
			continue;
		if (c->vtime > least)
			continue;
		least = c->vtime;
		best = i;
	}
	return best;
}

/*
 * Any class with something on its lists and credit to send it,
 * VSFQ_MAX_CLASSES if there is none.
 */
static __always_inline __u32 class_linked(struct vsfq_queue *q)
{
	__u32 i;

	for (i = 0; i < VSFQ_MAX_CLASSES && i < q->classes; i++)
		if (!(q->waiting >> i & 1) &&
		    (q->class[i].fresh.head || q->class[i].groups.head))
			return i;
	return VSFQ_MAX_CLASSES;
}

__verified_once __u32 class_next(struct vsfq_queue *q __arg_nonnull)
{
	__u32 first, i = class_behind(q, false, ~0ULL);
	struct vsfq_class_queue *c = class_of(q, i);

	/* Idle: forget the flows, unless they are few and may come back. */
	if (!c)
		return q->flows > KEEP_FLOWS ? class_linked(q) :
					       VSFQ_MAX_CLASSES;
	q->vtime = c->vtime;
	first = class_behind(q, true, c->vtime + (borrow << VTIME_SHIFT));
	return first < VSFQ_MAX_CLASSES ? first : i;
}

static __always_inline void count_sent(struct vsfq_class_queue *c, __u32 class,
				       struct slot *slot)
{
	__u64 usecs = (bpf_ktime_get_ns() - slot->queued_at) / 1000;
	struct vsfq_policy *p = policy_in_force();
	struct vsfq_class_settings *s = NULL;
	__u64 vtime = (__u64)slot->cost << VTIME_SHIFT;

	if (p)
		s = &p->class[class % VSFQ_MAX_CLASSES];
	c->sent.packets++;
	c->sent.bytes += slot->length;
	c->sent.cost += slot->cost;
	/* A class that another policy removed has no weight. */
	c->vtime += s ? vtime / (s->weight ?: 1) : vtime;
	/* Without a rate there is nothing that would ever pay a debt. */
	if (s && s->rate)
		c->credit -= slot->length;
	c->sojourn[log2_above(usecs) % VSFQ_NR_BUCKETS]++;
	c->sojourn_sum += usecs;
}

/* Nothing can be sent: be called again when a class has credit. */
static __always_inline void wait_for_credit(struct Qdisc *sch,
					    struct vsfq_queue *q)
{
	__u64 latest = bpf_ktime_get_ns() + RECHECK_NS;

	if (q->waiting)
		bpf_qdisc_watchdog_schedule(sch, q->credit_at < latest ?
					    q->credit_at : latest, 0);
}

SEC("struct_ops")
struct sk_buff *BPF_PROG(vsfq_dequeue, struct Qdisc *sch)
{
	struct vsfq_queue *q = queue_of(sch);
	struct vsfq_class_queue *c;
	struct sk_buff *skb;
	__u32 class, s;
	int i;

	if (!q)
		return NULL;
	enforce_rates(q);
	bpf_for(i, 0, MAX_STEPS) {
		class = class_next(q);
		c = class_of(q, class);
		if (!c) {
			wait_for_credit(sch, q);
			return NULL;
		}
		s = serve(q, c, false);
		if (!s)
			continue;
		count_sent(c, class, slot_at(s));
		sch->q.qlen--;
		sch->qstats.backlog -= slot_at(s)->length;
		skb = skb_take(s);
		slot_put(s);
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
	__u32 s;
	int i;

	sch->q.qlen = 0;
	sch->qstats.backlog = 0;
	if (!q)
		return;
	q->waiting = 0;
	bpf_for(i, 0, MAX_STEPS_RESET) {
		c = class_of(q, class_linked(q));
		if (!c)
			break;
		s = serve(q, c, true);
		if (!s)
			continue;
		c->drops[VSFQ_DROP_RESET]++;
		skb = skb_take(s);
		slot_put(s);
		if (skb)
			bpf_kfree_skb(skb);
	}
}

static __always_inline void class_inherit(struct vsfq_class_queue *c,
					  const struct vsfq_class_queue *old)
{
	c->sent = old->sent;
	__builtin_memcpy(c->drops, old->drops, sizeof(c->drops));
	__builtin_memcpy(c->sojourn, old->sojourn, sizeof(c->sojourn));
	c->sojourn_sum = old->sojourn_sum;
	c->throttled = old->throttled;
}

/*
 * A root goes on counting where the vsfq that it replaces is at this moment,
 * so that no counter goes back when another version takes over. What the old
 * one does until it is gone, and what it then drops, is counted by neither.
 */
static __always_inline void queue_inherit(struct Qdisc *sch,
					  struct vsfq_queue *q)
{
	struct Qdisc *root = sch->dev_queue->qdisc_sleeping;
	struct vsfq_queue_key key;
	struct vsfq_queue *old;
	__u32 i;

	if (!root || sch->parent != TC_H_ROOT || root->parent != TC_H_ROOT)
		return;
	key = queue_key(root);
	old = bpf_map_lookup_elem(&queues, &key);
	if (!old || old == q)
		return;
	for (i = 0; i < VSFQ_MAX_CLASSES; i++)
		class_inherit(&q->class[i], &old->class[i]);
}

SEC("struct_ops")
int BPF_PROG(vsfq_init, struct Qdisc *sch, struct nlattr *opt,
	     struct netlink_ext_ack *extack)
{
	struct vsfq_queue_key key = queue_key(sch);
	struct vsfq_queue *q;
	__u32 i;

	if (bpf_map_update_elem(&queues, &key, (void *)&new_queue, BPF_ANY))
		return -ENOMEM;
	q = bpf_map_lookup_elem(&queues, &key);
	if (!q)
		return -ENOMEM;
	q->id = __sync_fetch_and_add(&last_queue_id, 1) + 1;
	queue_inherit(sch, q);
	for (i = 0; i < VSFQ_NR_CLASSES; i++)
		if (class_start(q, i))
			return -ENOMEM;
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
	for (i = 0; i < VSFQ_MAX_CLASSES; i++)
		spare_release(&q->class[i]);
	bpf_map_delete_elem(&queues, &key);
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
