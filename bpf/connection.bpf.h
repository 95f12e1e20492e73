/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Caps of connections: how many there are and how fast new ones come, of a
 * device, a class and a group.
 *
 * A connection is in a table from its request, once, until a RST or the
 * SHUTDOWN of both ways is seen in either direction; who takes it out counts it
 * out. So requests that are repeated and several CPUs do no harm. One that was
 * there before there was such a cap is counted, and never refused, once this side
 * says something, or has: what the other side says of a connection that there is
 * not makes none. Its end may be missed: a request that nobody ever answers, a
 * RST in one grant with what was sent before it, one that the kernel sends for no
 * socket, a machine that was moved. When a cap is reached the table is therefore
 * looked through, at most once a second: a request without an answer is forgotten
 * after CONNECTION_ANSWER_NS, or CONNECTION_REPLY_NS if the answer is this side's,
 * a connection that is silent after CONNECTION_SILENT_NS.
 */
#ifndef CONNECTION_BPF_H
#define CONNECTION_BPF_H

#include "event.bpf.h"
#include "match.bpf.h"

#define CONNECTION_ANSWER_NS	(10 * NSEC_PER_SEC)
#define CONNECTION_REPLY_NS	NSEC_PER_SEC
#define CONNECTION_SILENT_NS	(3600 * NSEC_PER_SEC)
#define CONNECTION_GROUP_NS	(2 * NSEC_PER_SEC)
/* So much of a rate may come at once, and one more. */
#define CONNECTION_BURST_NS	(NSEC_PER_SEC / 10)
#define CONNECTION_TRIES	8

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, VSFQ_MAX_CONNECTIONS);
	__type(key, struct vsfq_flow_key);
	__type(value, struct vsfq_connection);
} connections SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, VSFQ_MAX_GROUPS);
	__type(key, struct vsfq_group_key);
	__type(value, struct vsfq_opens);
} groups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, VSFQ_MAX_CLASSES);
	__type(key, __u32);
	__type(value, struct vsfq_class_stats);
} classes SEC(".maps");

static const struct vsfq_opens no_opens;
static const struct vsfq_class_settings no_settings;

/*
 * Is it time for one more? "until" is the moment up to which the rate is used
 * up; several CPUs may move it.
 */
static __always_inline bool opens_pace(struct vsfq_opens *o, __u32 rate,
				       __u64 now)
{
	__u64 until = o->until, seen, next;
	int i;

	for (i = 0; i < CONNECTION_TRIES; i++) {
		if (until > now + CONNECTION_BURST_NS)
			return false;
		next = (until > now ? until : now) + NSEC_PER_SEC / rate;
		seen = __sync_val_compare_and_swap(&o->until, until, next);
		if (seen == until)
			return true;
		until = seen;
	}
	return false;
}

/*
 * Somebody will count one in: not to be swept for a while. That the rate is
 * used up to this moment says nothing else, whether there is one or not.
 */
static __always_inline void opens_touch(struct vsfq_opens *o, __u64 now)
{
	__u64 until = o->until;

	if (until < now)
		__sync_val_compare_and_swap(&o->until, until, now);
}

/* Count one in. Returns 0, or 1 + the cap that is in the way. */
static __always_inline __u32 opens_take(struct vsfq_opens *o,
					const struct vsfq_caps *caps,
					__u64 now)
{
	__s64 open = __sync_fetch_and_add(&o->open, 1);
	__u32 cap = 0;

	/* Below 0 for a moment, if opens_end had nothing to take. */
	if (caps->connections && open >= (__s64)caps->connections)
		cap = 1 + VSFQ_CAP_CONNECTIONS;
	else if (caps->connection_rate &&
		 !opens_pace(o, caps->connection_rate, now))
		cap = 1 + VSFQ_CAP_CONNECTION_RATE;
	if (cap)
		__sync_fetch_and_sub(&o->open, 1);
	return cap;
}

/* As if it had never been. */
static __always_inline void opens_give(struct vsfq_opens *o,
				       const struct vsfq_caps *caps)
{
	__sync_fetch_and_sub(&o->open, 1);
	if (caps->connection_rate)
		__sync_fetch_and_sub(&o->until,
				     NSEC_PER_SEC / caps->connection_rate);
}

/* One that was counted in has ended; never below 0. */
static __always_inline void opens_end(struct vsfq_opens *o)
{
	if ((__s64)__sync_fetch_and_sub(&o->open, 1) <= 0)
		__sync_fetch_and_add(&o->open, 1);
}

static __always_inline struct vsfq_opens *
group_opens(struct vsfq_connection *c, bool make)
{
	struct vsfq_group_key key = {
		.id = c->group, .class = c->class, .isolate = c->isolate,
	};
	struct vsfq_opens *o = bpf_map_lookup_elem(&groups, &key);

	if (o || !make)
		return o;
	bpf_map_update_elem(&groups, &key, &no_opens, BPF_NOEXIST);
	return bpf_map_lookup_elem(&groups, &key);
}

static __always_inline struct vsfq_class_stats *class_stats(__u32 class)
{
	return bpf_map_lookup_elem(&classes, &class);
}

/*
 * It is out of the table: count it out, wherever it was counted in. The group
 * may not be there, or not know of it: see sweep_group.
 */
static __always_inline void connection_forget(struct vsfq_device_stats *dev,
					      struct vsfq_connection *c)
{
	struct vsfq_class_stats *cs = class_stats(c->class);
	struct vsfq_opens *group = c->grouped ? group_opens(c, false) : NULL;

	opens_end(&dev->opens);
	if (cs)
		opens_end(&cs->opens);
	if (group)
		opens_end(group);
}

__noinline int connection_end(struct vsfq_flow_key *key __arg_nonnull,
			      struct vsfq_device_stats *dev __arg_nonnull)
{
	struct vsfq_connection *found, c;

	found = bpf_map_lookup_elem(&connections, key);
	/* Another CPU may put it back as one of another class meanwhile. */
	if (!found || __sync_lock_test_and_set(&found->ended, 1))
		return 0;
	c = *found;
	bpf_map_delete_elem(&connections, key);
	connection_forget(dev, &c);
	return 0;
}

struct sweep {
	struct vsfq_device_stats *dev;
	__u64 now;
};

/* Another CPU may have heard of it since the sweep began: no time ago. */
static long sweep_connection(void *map, struct vsfq_flow_key *key,
			     struct vsfq_connection *c, struct sweep *sweep)
{
	__s64 silent = sweep->now - c->last_seen;
	__s64 most = c->answered ? CONNECTION_SILENT_NS :
		     c->opened == VSFQ_IN ? CONNECTION_REPLY_NS :
					    CONNECTION_ANSWER_NS;
	struct vsfq_flow_key ended = *key;

	if (silent > most)
		connection_end(&ended, sweep->dev);
	return 0;
}

/*
 * Another CPU may count one in at this moment, which the group then does not
 * know of. That is not likely where nobody has asked for so long.
 */
static long sweep_group(void *map, struct vsfq_group_key *key,
			struct vsfq_opens *o, struct sweep *sweep)
{
	if (!o->open && o->until + CONNECTION_GROUP_NS < sweep->now)
		bpf_map_delete_elem(map, key);
	return 0;
}

/* Forget what has ended unseen. False if that was tried a moment ago. */
static __always_inline bool connections_sweep(struct vsfq_device_stats *dev,
					      __u64 now)
{
	struct sweep sweep = { dev, now };
	__u64 last = dev->swept;

	if ((__s64)(now - last) < (__s64)NSEC_PER_SEC ||
	    __sync_val_compare_and_swap(&dev->swept, last, now) != last)
		return false;
	bpf_for_each_map_elem(&connections, sweep_connection, &sweep, 0);
	bpf_for_each_map_elem(&groups, sweep_group, &sweep, 0);
	return true;
}

/* The same of a class and of a group in it, if such are counted. */
static __always_inline __u32 take_class(struct vsfq_class_stats *cs,
					struct vsfq_opens *group,
					const struct vsfq_class_settings *s,
					__u64 now)
{
	__u32 cap = opens_take(&cs->opens, &s->caps, now);

	if (cap || !group)
		return cap ? cap + VSFQ_CAP_CLASS : 0;
	cap = opens_take(group, &s->group, now);
	if (!cap)
		return 0;
	opens_give(&cs->opens, &s->caps);
	return cap + VSFQ_CAP_GROUP;
}

static __always_inline void give_class(struct vsfq_class_stats *cs,
				       struct vsfq_opens *group,
				       const struct vsfq_class_settings *s)
{
	opens_give(&cs->opens, &s->caps);
	if (group)
		opens_give(group, &s->group);
}

/* The caps that may keep a connection out; those of none for one that is. */
static __always_inline void opening_caps(struct vsfq_policy *p,
					 struct vsfq_device_stats *dev,
					 struct vsfq_connection *c,
					 const struct vsfq_caps **device,
					 const struct vsfq_class_settings **s)
{
	const __u64 *ours = (const __u64 *)dev->name;
	__u64 name[] = { ours[0], ours[1] };
	const __u64 *its = (const __u64 *)dev->port;
	__u64 port[] = { its[0], its[1] };
	__u32 section;

	*device = &no_settings.caps;
	*s = &no_settings;
	if (c->answered)
		return;
	*s = &p->class[c->class % VSFQ_MAX_CLASSES];
	section = device_section(p, (void *)name, (void *)port);
	if (section)
		*device = &p->device[(section - 1) % VSFQ_MAX_SECTIONS].caps;
}

/*
 * Count a connection in and put it into the table: one that was answered in any
 * case. Returns 0, or 1 + the cap that is in the way.
 */
__noinline __u32 connection_add(struct vsfq_flow_key *key __arg_nonnull,
				struct vsfq_connection *c __arg_nonnull,
				struct vsfq_device_stats *dev __arg_nonnull,
				struct vsfq_policy *p __arg_nonnull)
{
	struct vsfq_class_stats *cs = class_stats(c->class);
	struct vsfq_opens *group = c->grouped ? group_opens(c, true) : NULL;
	const struct vsfq_class_settings *s;
	const struct vsfq_caps *device;
	__u32 cap;

	if (!cs || (c->grouped && !group))
		return 1 + VSFQ_CAP_GROUP + VSFQ_CAP_CONNECTIONS;
	if (group)
		opens_touch(group, c->last_seen);
	opening_caps(p, dev, c, &device, &s);
	cap = opens_take(&dev->opens, device, c->last_seen);
	if (cap)
		return cap;
	cap = take_class(cs, group, s, c->last_seen);
	if (cap) {
		opens_give(&dev->opens, device);
		return cap;
	}
	if (!bpf_map_update_elem(&connections, key, c, BPF_NOEXIST))
		return 0;
	opens_give(&dev->opens, device);
	give_class(cs, group, s);
	/* Another CPU was faster, or the table is full. */
	return bpf_map_lookup_elem(&connections, key) ? 0 :
	       1 + VSFQ_CAP_CONNECTIONS;
}

/* By which others the connection is counted; see vsfq.conf(5) for "isolate". */
static __always_inline void connection_group(struct __sk_buff *skb,
					     struct vsfq_policy *p,
					     struct vsfq_flow_stats *stats,
					     struct vsfq_flow_key *key,
					     struct vsfq_connection *c)
{
	struct vsfq_class_settings *s = &p->class[c->class % VSFQ_MAX_CLASSES];

	c->isolate = s->isolate;
	c->grouped = s->group.connections || s->group.connection_rate;
	if (c->isolate == VSFQ_BY_CID)
		c->group = key->peer_cid;
	else if (c->isolate == VSFQ_BY_UID && skb->sk)
		c->group = bpf_get_socket_uid(skb) + 1ULL;
	else if (c->isolate == VSFQ_BY_UID && stats && stats->cgroup)
		c->group = stats->uid + 1ULL;
	else if (c->isolate == VSFQ_BY_CGROUP && skb->sk)
		c->group = bpf_skb_cgroup_id(skb);
	else if (c->isolate == VSFQ_BY_CGROUP && stats)
		c->group = stats->cgroup;
}

static __always_inline void count_capped(struct vsfq_device_stats *dev,
					 struct vsfq_class_stats *cs,
					 __u32 cap)
{
	if (cap < VSFQ_CAP_CLASS)
		__sync_fetch_and_add(&dev->capped[cap], 1);
	else if (cs)
		__sync_fetch_and_add(&cs->capped[(cap - VSFQ_CAP_CLASS) %
						 VSFQ_NR_CLASS_CAPS], 1);
}

/* A request that the policy accepted: may it be? */
static __always_inline bool connection_open(struct __sk_buff *skb,
					    struct vsfq_policy *p,
					    struct vsfq_device_stats *dev,
					    struct vsfq_flow_stats *stats,
					    struct vsfq_flow_key *key,
					    __u32 class, bool egress)
{
	struct vsfq_connection new = {
		.last_seen = bpf_ktime_get_ns(), .class = class,
		.opened = egress || (stats && stats->opened),
	}, *c;
	__u32 cap;

	c = bpf_map_lookup_elem(&connections, key);
	if (c) {
		c->last_seen = new.last_seen;
		/* What arrives has yet to be answered, see connection_seen. */
		if (egress)
			c->opened = VSFQ_OUT;
		return true;
	}
	connection_group(skb, p, stats, key, &new);
	cap = connection_add(key, &new, dev, p);
	if (cap && connections_sweep(dev, new.last_seen))
		cap = connection_add(key, &new, dev, p);
	if (!cap)
		return true;
	count_capped(dev, class_stats(class), cap - 1);
	event_capped(dev, key, egress, &p->class[class % VSFQ_MAX_CLASSES],
		     cap - 1);
	return false;
}

/* What arrives may be of no connection, but for one in which we have spoken. */
static __always_inline bool is_ours(struct vsfq_flow_stats *stats, bool egress)
{
	return egress || (stats && stats->state == VSFQ_FLOW_OPEN &&
			  stats->sent.packets);
}

/* A connection says something. Each is noted about once a second. */
static __always_inline void connection_seen(struct __sk_buff *skb,
					    struct vsfq_policy *p,
					    struct vsfq_device_stats *dev,
					    struct vsfq_flow_stats *stats,
					    struct vsfq_flow_key *key,
					    __u32 class, bool egress)
{
	struct vsfq_connection new = {
		.last_seen = bpf_ktime_get_ns(), .class = class, .answered = 1,
	}, *c;

	c = bpf_map_lookup_elem(&connections, key);
	if (!is_ours(stats, egress) &&
	    !(c && (c->answered || c->opened == VSFQ_OUT)))
		return;
	connection_group(skb, p, stats, key, &new);
	new.opened = stats ? stats->opened : c && c->opened;
	if (c && c->class == class && c->isolate == new.isolate &&
	    c->grouped == new.grouped) {
		c->last_seen = new.last_seen;
		c->opened = new.opened;
		c->answered = 1;
		return;
	}
	/* Another policy counts it elsewhere. */
	if (c)
		connection_end(key, dev);
	connection_add(key, &new, dev, p);
}

#endif
