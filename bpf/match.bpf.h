/* SPDX-License-Identifier: GPL-2.0-only */
/* The rules of a policy, asked about a connection request or a datagram. */
#ifndef MATCH_BPF_H
#define MATCH_BPF_H

#include "policy.bpf.h"

/* That the program is attached to, for rules that name one. */
const volatile char device_name[VSFQ_NAME_SIZE] __attribute__((aligned(8)));

static __always_inline bool in_range(__u32 x, struct vsfq_range *range)
{
	return x - range->first <= range->last - range->first;
}

static __always_inline bool in_ranges(__u32 x, struct vsfq_range *ranges,
				      __u32 count)
{
	__u32 i;

	for (i = 0; i < VSFQ_MAX_RANGES && i < count; i++)
		if (in_range(x, &ranges[i]))
			return true;
	return !count;
}

static __always_inline bool on_device(struct vsfq_rule *rule)
{
	const volatile __u64 *ours = (const volatile __u64 *)device_name;
	__u64 *theirs = (__u64 *)rule->device;

	return !rule->device[0] ||
	       (theirs[0] == ours[0] && theirs[1] == ours[1]);
}

/* In the cgroup or below it. What arrives has no socket, and is in none. */
static __always_inline bool in_cgroup(struct __sk_buff *skb,
				      struct vsfq_policy *p, __u32 cgroup)
{
	struct vsfq_cgroup *c;

	if (!cgroup)
		return true;
	c = &p->cgroup[(cgroup - 1) % VSFQ_MAX_CGROUPS];
	return skb->sk && bpf_skb_ancestor_cgroup_id(skb, c->level) == c->id;
}

/* All but the cgroup. */
static __always_inline bool matches(struct vsfq_rule *rule,
				    struct vsfq_flow_key *key, __u32 direction)
{
	return rule->directions >> direction & 1 &&
	       rule->types >> (key->type & 7) & 1 &&
	       in_range(key->local_cid, &rule->local_cid) &&
	       in_range(key->peer_cid, &rule->remote_cid) &&
	       in_ranges(key->local_port, rule->local_port,
			 rule->local_ports) &&
	       in_ranges(key->peer_port, rule->remote_port,
			 rule->remote_ports) &&
	       on_device(rule);
}

/*
 * What the first rule that matches says: VSFQ_JUDGED(), and if of the owner;
 * and if it wants an event VSFQ_JUDGED_BY().
 */
__noinline __u32 match(struct __sk_buff *skb,
		       struct vsfq_policy *p __arg_nonnull,
		       struct vsfq_flow_key *key __arg_nonnull,
		       __u32 direction)
{
	__u32 fallback = vsock_class(key->type), more = 0;
	struct vsfq_rule *rule;
	int i;

	direction %= VSFQ_NR_DIRECTIONS;
	bpf_for(i, 0, p->rules) {
		rule = &p->rule[i % VSFQ_MAX_RULES];
		if (!matches(rule, key, direction))
			continue;
		if (rule->cgroup)
			more |= VSFQ_JUDGED_OWNER;
		if (!in_cgroup(skb, p, rule->cgroup))
			continue;
		if (rule->verdict == VSFQ_CLASS)
			fallback = rule->class;
		if (rule->log)
			more |= VSFQ_JUDGED_BY(i % VSFQ_MAX_RULES + 1);
		return more | VSFQ_JUDGED(rule->verdict, fallback);
	}
	return more | VSFQ_JUDGED(p->defaults[direction], fallback);
}

#endif
