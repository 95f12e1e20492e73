// SPDX-License-Identifier: GPL-2.0-only
#include "build.h"
#include "events.h"
#include "policy_map.h"

/* FNV-1a, 64 bits (draft-eastlake-fnv) */
#define FNV_BASIS	0xcbf29ce484222325
#define FNV_PRIME	0x100000001b3

static __u64 hash(__u64 value, const void *data, size_t size)
{
	const unsigned char *byte = data;

	while (size--)
		value = (value ^ *byte++) * FNV_PRIME;
	return value;
}

__u64 build_with(const void *elf, size_t size, const __u32 *maps, int count)
{
	return hash(hash(FNV_BASIS, elf, size), maps, count * sizeof(*maps));
}

__u64 build_of(const void *elf, size_t size)
{
	__u32 maps[] = { policy_map_number(), events_number() };

	return build_with(elf, size, maps, 2);
}
