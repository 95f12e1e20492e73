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

struct device_name {
	char text[VSFQ_NAME_SIZE];
};

static __always_inline bool name_matches(struct vsfq_device_settings *d,
					 struct device_name *name)
{
	__u32 i;

	for (i = 0; i < VSFQ_NAME_SIZE && i < d->length; i++)
		if (name->text[i] != d->name[i])
			return false;
	return true;
}

/* Which section describes a device, from 1; 0 is none. */
__noinline __u32 device_section(struct vsfq_policy *p __arg_nonnull,
				struct device_name *name __arg_nonnull,
				struct device_name *port __arg_nonnull)
{
	struct vsfq_device_settings *d;
	int i;

	bpf_for(i, 0, p->devices) {
		d = &p->device[i % VSFQ_MAX_SECTIONS];
		if (name_matches(d, name) || name_matches(d, port))
			return i + 1;
	}
	return 0;
}

#endif
