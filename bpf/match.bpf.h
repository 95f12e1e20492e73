/* SPDX-License-Identifier: GPL-2.0-only */
/* The policy, asked about a packet. */
#ifndef MATCH_BPF_H
#define MATCH_BPF_H

#include "policy.bpf.h"
#include "match.h"

/*
 * In the cgroup or below it. What arrives has no socket, and is in none; at a
 * level that its owner does not have the helper returns 0.
 */
static __always_inline bool skb_in(void *of, const struct vsfq_cgroup *c)
{
	struct __sk_buff *skb = of;

	return c->id && skb->sk &&
	       bpf_skb_ancestor_cgroup_id(skb, c->level) == c->id;
}

/* See match_rules(). */
__noinline __u32 match(struct __sk_buff *skb,
		       struct vsfq_policy *p __arg_nonnull,
		       struct vsfq_flow_key *key __arg_nonnull,
		       __u32 direction,
		       struct vsfq_device_stats *dev __arg_nonnull)
{
	struct match_owner owner = { .of = skb, .in = skb_in };

	return match_rules(p, key, direction, vsock_class(key->type), dev,
			   &owner, false);
}

#endif
