/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The rules of a policy, asked about a connection request or a datagram: by the
 * classifier about a packet, by what refuses connect() about a socket, by "apply
 * --strict" about a connection that is there. Includers provide bpf_for and
 * __always_inline, of libbpf or the like of it.
 */
#ifndef MATCH_H
#define MATCH_H

#include "policy.h"

/* Who owns the socket; the function tells whether it is in the cgroup. */
struct match_owner {
	void *of;
	bool (*in)(void *of, const struct vsfq_cgroup *cgroup);
};

static __always_inline bool in_range(__u32 x, const struct vsfq_range *range)
{
	return x - range->first <= range->last - range->first;
}

static __always_inline bool in_ranges(__u32 x, const struct vsfq_range *ranges,
				      __u32 count)
{
	__u32 i;

	for (i = 0; i < VSFQ_MAX_RANGES && i < count; i++)
		if (in_range(x, &ranges[i]))
			return true;
	return !count;
}

static __always_inline bool on_device(const struct vsfq_rule *rule,
				      const struct vsfq_device_stats *dev)
{
	const __u64 *name = (const __u64 *)dev->name;
	const __u64 *port = (const __u64 *)dev->port;
	const __u64 *theirs = (const __u64 *)rule->device;

	return !rule->device[0] ||
	       (theirs[0] == name[0] && theirs[1] == name[1]) ||
	       (theirs[0] == port[0] && theirs[1] == port[1]);
}

/* All but the local port and the cgroup. */
static __always_inline bool matches(const struct vsfq_rule *rule,
				    const struct vsfq_flow_key *key,
				    __u32 direction,
				    const struct vsfq_device_stats *dev)
{
	return rule->directions >> direction & 1 &&
	       rule->types >> (key->type & 7) & 1 &&
	       in_range(key->local_cid, &rule->local_cid) &&
	       in_range(key->peer_cid, &rule->remote_cid) &&
	       in_ranges(key->peer_port, rule->remote_port,
			 rule->remote_ports) &&
	       on_device(rule, dev);
}

static __always_inline bool in_cgroup(const struct match_owner *owner,
				      const struct vsfq_policy *p, __u32 cgroup)
{
	return !cgroup ||
	       owner->in(owner->of,
			 &p->cgroup[(cgroup - 1) % VSFQ_MAX_CGROUPS]);
}

/*
 * What the first rule that matches says: VSFQ_JUDGED(), and if of the owner,
 * VSFQ_JUDGED_BY(), and if it wants an event. Without a local port, who asks
 * early gets 0 if that could make a difference.
 */
static __always_inline __u32 match_rules(const struct vsfq_policy *p,
					 const struct vsfq_flow_key *key,
					 __u32 direction, __u32 fallback,
					 const struct vsfq_device_stats *dev,
					 const struct match_owner *owner,
					 bool early)
{
	const struct vsfq_rule *rule;
	__u32 more = 0;
	int i;

	direction %= VSFQ_NR_DIRECTIONS;
	bpf_for(i, 0, p->rules) {
		rule = &p->rule[i % VSFQ_MAX_RULES];
		if (!matches(rule, key, direction, dev))
			continue;
		if (early && rule->local_ports)
			return 0;
		if (!in_ranges(key->local_port, rule->local_port,
			       rule->local_ports))
			continue;
		if (rule->cgroup)
			more |= VSFQ_JUDGED_OWNER;
		if (!in_cgroup(owner, p, rule->cgroup))
			continue;
		if (rule->verdict == VSFQ_CLASS)
			fallback = rule->class;
		if (rule->log)
			more |= VSFQ_JUDGED_LOG;
		return more | VSFQ_JUDGED_BY(i % VSFQ_MAX_RULES + 1) |
		       VSFQ_JUDGED(rule->verdict, fallback);
	}
	return more | VSFQ_JUDGED_BY(VSFQ_BY_DEFAULT) |
	       VSFQ_JUDGED(p->defaults[direction], fallback);
}

#endif
