/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The policy in force: the map in the only place of the map "policy", which
 * all programs of this machine share. To apply another one is to put another
 * map there. Who holds the old one holds it until the program returns.
 */
#ifndef POLICY_BPF_H
#define POLICY_BPF_H

#include "vsock.bpf.h"
#include "policy.h"

/* By size: clang describes no type that only an inner map refers to. */
struct policy_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct vsfq_policy));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct policy_map);
} policy SEC(".maps");

/* NULL without one; costs a few instructions, there is no call in it. */
static __always_inline struct vsfq_policy *policy_in_force(void)
{
	__u32 zero = 0;
	void *map = bpf_map_lookup_elem(&policy, &zero);

	return map ? bpf_map_lookup_elem(map, &zero) : NULL;
}

#endif
